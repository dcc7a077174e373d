//! Finding the program of a process and executing it.

use std::ffi::{CString, OsStr};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, access};

use super::{Attempt as _, Failure};
use crate::spec::Process;
use crate::sys;

const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A program ready to be executed.
pub(super) struct Program {
    name: String,
    path: CString,
    args: Vec<CString>,
    env: Vec<CString>,
}

/// Finds the program as the user that this process has become. `home` is for an environment without HOME.
pub(super) fn find(process: &Process, home: &str) -> Result<Program, Failure> {
    let name = process.args.first().filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| Failure::Program("no command specified".into()))?.clone();
    let path = locate(&name, &process.env).map_err(Failure::Program)?;
    let string = |text: &str| CString::new(text).attempt(|| format!("passing {text:?}"));
    let args = process.args.iter().map(|arg| string(arg)).collect::<Result<_, _>>()?;
    let mut env: Vec<CString> = process.env.iter().map(|pair| string(pair)).collect::<Result<_, _>>()?;
    if !process.env.iter().any(|pair| pair.starts_with("HOME=")) {
        env.push(string(&format!("HOME={home}"))?);
    }
    let path = sys::c_path(&path).attempt(|| format!("passing {name:?}"))?;
    Ok(Program { name, path, args, env })
}

impl Program {
    /// Becomes the program; comes back only with the reason why not.
    pub(super) fn execute(self) -> Failure {
        let error = sys::execute(&self.path, &self.args, &self.env);
        Failure::Program(format!("exec {}: {}", self.name, describe(&error)))
    }
}

fn locate(name: &str, env: &[String]) -> Result<PathBuf, String> {
    if name.contains('/') {
        return match executable(Path::new(name)) {
            Ok(()) => Ok(name.into()),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                Err(format!("exec: {name:?}: stat {name}: no such file or directory"))
            }
            Err(e) => Err(format!("exec: {name:?}: {}", describe(&e))),
        };
    }
    let path = env.iter().find_map(|pair| pair.strip_prefix("PATH=")).unwrap_or(DEFAULT_PATH);
    let directories = path.split(':').map(|directory| if directory.is_empty() { "." } else { directory });
    let mut candidates = directories.map(|directory| Path::new(directory).join(OsStr::from_bytes(name.as_bytes())));
    let found = candidates.find(|candidate| executable(candidate).is_ok());
    found.ok_or_else(|| format!("exec: {name:?}: executable file not found in $PATH"))
}

fn executable(path: &Path) -> io::Result<()> {
    if std::fs::metadata(path)?.is_dir() {
        return Err(io::Error::from_raw_os_error(libc::EISDIR));
    }
    Ok(access(path, AccessFlags::X_OK)?)
}

/// The words that users know.
fn describe(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(libc::ENOENT) => "no such file or directory".into(),
        Some(libc::EACCES) => "permission denied".into(),
        Some(libc::ENOEXEC) => "exec format error".into(),
        Some(libc::EISDIR) => "is a directory".into(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_as_a_shell_would() {
        let check = |name: &str, env: &[&str], expected: Result<&str, &str>| {
            let env: Vec<String> = env.iter().map(|s| (*s).to_owned()).collect();
            let expected = expected.map(PathBuf::from).map_err(str::to_owned);
            assert_eq!(locate(name, &env), expected, "{name}");
        };
        check("/bin/sh", &[], Ok("/bin/sh"));
        check("sh", &["PATH=/nowhere:/bin"], Ok("/bin/sh"));
        check("nosuch", &[], Err("exec: \"nosuch\": executable file not found in $PATH"));
        check("/nosuch", &[], Err("exec: \"/nosuch\": stat /nosuch: no such file or directory"));
        check("/etc/passwd", &[], Err("exec: \"/etc/passwd\": permission denied"));
        check("/etc", &[], Err("exec: \"/etc\": is a directory"));
    }
}
