//! Hands the arguments to [`wxgate::cli`] and returns its exit code.

use std::process::ExitCode;

use tikv_jemallocator::Jemalloc;

/// Gives the memory that a rush of clients needed back to the system within seconds; the C library's keeps most of it.
///
/// The one static of the program: an allocator is none otherwise.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

fn main() -> ExitCode {
    wxgate::cli::main()
}
