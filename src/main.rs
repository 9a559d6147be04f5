//! Hands the arguments to [`wxgate::cli`] and returns its exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    wxgate::cli::main()
}
