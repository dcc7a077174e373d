//! Stop signals: CRI's values, the names that pods and images use, and Linux's numbers.

/// By CRI value, from 1 on: name as in a Pod's `lifecycle.stopSignal`, and Linux's number.
const SIGNALS: [(&str, i32); 65] = [
    ("SIGABRT", 6),
    ("SIGALRM", 14),
    ("SIGBUS", 7),
    ("SIGCHLD", 17),
    ("SIGCLD", 17),
    ("SIGCONT", 18),
    ("SIGFPE", 8),
    ("SIGHUP", 1),
    ("SIGILL", 4),
    ("SIGINT", 2),
    ("SIGIO", 29),
    ("SIGIOT", 6),
    ("SIGKILL", 9),
    ("SIGPIPE", 13),
    ("SIGPOLL", 29),
    ("SIGPROF", 27),
    ("SIGPWR", 30),
    ("SIGQUIT", 3),
    ("SIGSEGV", 11),
    ("SIGSTKFLT", 16),
    ("SIGSTOP", 19),
    ("SIGSYS", 31),
    ("SIGTERM", 15),
    ("SIGTRAP", 5),
    ("SIGTSTP", 20),
    ("SIGTTIN", 21),
    ("SIGTTOU", 22),
    ("SIGURG", 23),
    ("SIGUSR1", 10),
    ("SIGUSR2", 12),
    ("SIGVTALRM", 26),
    ("SIGWINCH", 28),
    ("SIGXCPU", 24),
    ("SIGXFSZ", 25),
    ("SIGRTMIN", 34),
    ("SIGRTMIN+1", 35),
    ("SIGRTMIN+2", 36),
    ("SIGRTMIN+3", 37),
    ("SIGRTMIN+4", 38),
    ("SIGRTMIN+5", 39),
    ("SIGRTMIN+6", 40),
    ("SIGRTMIN+7", 41),
    ("SIGRTMIN+8", 42),
    ("SIGRTMIN+9", 43),
    ("SIGRTMIN+10", 44),
    ("SIGRTMIN+11", 45),
    ("SIGRTMIN+12", 46),
    ("SIGRTMIN+13", 47),
    ("SIGRTMIN+14", 48),
    ("SIGRTMIN+15", 49),
    ("SIGRTMAX-14", 50),
    ("SIGRTMAX-13", 51),
    ("SIGRTMAX-12", 52),
    ("SIGRTMAX-11", 53),
    ("SIGRTMAX-10", 54),
    ("SIGRTMAX-9", 55),
    ("SIGRTMAX-8", 56),
    ("SIGRTMAX-7", 57),
    ("SIGRTMAX-6", 58),
    ("SIGRTMAX-5", 59),
    ("SIGRTMAX-4", 60),
    ("SIGRTMAX-3", 61),
    ("SIGRTMAX-2", 62),
    ("SIGRTMAX-1", 63),
    ("SIGRTMAX", 64),
];

/// The CRI value of a signal named as in a Pod (`SIGTERM`, `SIGRTMIN+1`); `TERM` and `SIGRTMINPLUS1` are understood too.
#[must_use]
pub fn from_name(name: &str) -> Option<i32> {
    let name = name.to_ascii_uppercase().replace("PLUS", "+").replace("MINUS", "-");
    let name = name.strip_prefix("SIG").unwrap_or(&name);
    let index = SIGNALS.iter().position(|(known, _)| known.strip_prefix("SIG") == Some(name))?;
    i32::try_from(index + 1).ok()
}

/// The name of a CRI value; none for 0, the default, and for unknown values.
#[must_use]
pub fn name(value: i32) -> Option<&'static str> {
    row(value).map(|(name, _)| *name)
}

/// Linux's number of a CRI value; none for 0, the default, and for unknown values.
#[must_use]
pub fn number(value: i32) -> Option<i32> {
    row(value).map(|(_, number)| *number)
}

/// The CRI value of what an image's `StopSignal` says: a name or a number.
#[must_use]
pub fn from_image(text: &str) -> Option<i32> {
    match text.parse::<i32>() {
        Ok(wanted) => {
            let index = SIGNALS.iter().position(|(_, number)| *number == wanted)?;
            i32::try_from(index + 1).ok()
        }
        Err(_) => from_name(text),
    }
}

fn row(value: i32) -> Option<&'static (&'static str, i32)> {
    SIGNALS.get(usize::try_from(value).ok()?.checked_sub(1)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_those_of_the_wire() {
        let check = |name: &str, value: i32, linux: i32| {
            assert_eq!(from_name(name), Some(value), "{name}");
            assert_eq!(number(value), Some(linux), "{name}");
        };
        check("SIGABRT", 1, 6);
        check("SIGKILL", 13, 9);
        check("SIGTERM", 23, 15);
        check("TERM", 23, 15);
        check("SIGRTMIN", 35, 34);
        check("SIGRTMIN+1", 36, 35);
        check("SIGRTMINPLUS15", 50, 49);
        check("SIGRTMAX-14", 51, 50);
        check("SIGRTMAXMINUS1", 64, 63);
        check("SIGRTMAX", 65, 64);
    }

    #[test]
    fn the_default_and_the_unknown_have_no_name() {
        for value in [0, -1, 66, i32::MAX] {
            assert_eq!((name(value), number(value)), (None, None));
        }
        assert_eq!(from_name("SIGFOO"), None);
    }

    #[test]
    fn images_name_signals_by_number_too() {
        assert_eq!(from_image("9"), Some(13));
        assert_eq!(from_image("SIGQUIT"), from_name("SIGQUIT"));
        assert_eq!(from_image("99"), None);
    }
}
