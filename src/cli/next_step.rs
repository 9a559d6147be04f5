//! What to do about an error that keeps the program from serving.

use std::io::{self, ErrorKind};

use crate::{listen, store};

/// The error with all its causes and, where there is one, the next step in a line of its own.
pub(super) fn told(error: &anyhow::Error) -> String {
    match error.chain().find_map(next_step) {
        Some(step) => format!("{error:#}\ntry: {step}"),
        None => format!("{error:#}"),
    }
}

fn next_step(cause: &(dyn std::error::Error + 'static)) -> Option<String> {
    if let Some(listen::Error::Bind(error)) = cause.downcast_ref() {
        return Some(of_address(error.kind())?.to_owned());
    }
    if let Some(error) = cause.downcast_ref() {
        return of_store(error);
    }
    let error: &io::Error = cause.downcast_ref()?;
    let step = match error.kind() {
        ErrorKind::NotFound => "make the folder; it must belong to the user that runs wxgate",
        ErrorKind::PermissionDenied => {
            "look at owner and mode of the path and of each folder above it (namei -l PATH), as the user that runs wxgate"
        }
        ErrorKind::StorageFull => "make room on that disk (df -h)",
        _ => return None,
    };
    Some(step.to_owned())
}

fn of_address(kind: ErrorKind) -> Option<&'static str> {
    match kind {
        ErrorKind::AddrInUse => Some(
            "`ss -ltnp` names the program that listens there, perhaps another wxgate: stop it, or listen on another port",
        ),
        ErrorKind::AddrNotAvailable => Some(
            "this machine has no such address (`ip address` lists them): correct it, or listen on 0.0.0.0",
        ),
        ErrorKind::PermissionDenied => Some(
            "ports below 1024 need CAP_NET_BIND_SERVICE (systemd: AmbientCapabilities=, or a .socket unit), or take a higher port",
        ),
        _ => None,
    }
}

fn of_store(error: &store::Error) -> Option<String> {
    match error {
        store::Error::File { file, .. } => {
            let folder = file.parent().unwrap_or(file).display();
            Some(format!(
                "`state_dir` must be a folder of the user that runs wxgate, on a disk with room: ls -ld {folder}; df -h {folder}"
            ))
        }
        store::Error::InUse { .. } => Some(
            "another wxgate uses this folder: stop it, or give each one a `state_dir` of its own"
                .to_owned(),
        ),
        store::Error::Damaged { file } => Some(format!(
            "restore {} from a backup; or move it away, and logouts and used codes of today are forgotten",
            file.display()
        )),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_that_an_operator_can_mend_say_how() {
        let told_of = |kind: ErrorKind, is_address: bool| {
            let error = io::Error::from(kind);
            let error = match is_address {
                true => anyhow::Error::from(listen::Error::Bind(error)),
                false => anyhow::Error::from(error),
            };
            told(&error.context("cannot start"))
        };
        for (kind, is_address, step) in [
            (ErrorKind::AddrInUse, true, "ss -ltnp"),
            (ErrorKind::AddrNotAvailable, true, "ip address"),
            (ErrorKind::PermissionDenied, true, "CAP_NET_BIND_SERVICE"),
            (ErrorKind::PermissionDenied, false, "namei -l"),
            (ErrorKind::NotFound, false, "make the folder"),
            (ErrorKind::StorageFull, false, "df -h"),
        ] {
            let told = told_of(kind, is_address);
            let (first, last) = told.split_once("\ntry: ").unwrap_or((&told, ""));
            assert!(first.starts_with("cannot start: "), "{told}");
            assert!(last.contains(step), "{told}");
        }
        assert!(!told_of(ErrorKind::BrokenPipe, false).contains("try: "));
    }
}
