//! Paths of the kubelet's server, and what of the node a caller must be allowed to see for each. Pure.

use http::Method;

/// A container of a pod on this node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    pub namespace: String,
    pub pod: String,
    pub uid: Option<String>,
    pub container: String,
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    Health,
    Pods,
    Logs(Target),
    Exec(Target),
    Attach(Target),
    PortForward { namespace: String, pod: String, uid: Option<String> },
}

/// The route of `path`; `None` where nothing is served.
#[must_use]
pub fn parse(path: &str) -> Option<Route> {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    match parts.as_slice() {
        ["healthz"] | ["healthz", "ping"] => Some(Route::Health),
        ["pods" | "runningpods"] => Some(Route::Pods),
        ["containerLogs", rest @ ..] => target(rest).map(Route::Logs),
        ["exec", rest @ ..] => target(rest).map(Route::Exec),
        ["attach", rest @ ..] => target(rest).map(Route::Attach),
        ["portForward", namespace, pod] => {
            Some(Route::PortForward { namespace: (*namespace).into(), pod: (*pod).into(), uid: None })
        }
        ["portForward", namespace, pod, uid] => {
            Some(Route::PortForward { namespace: (*namespace).into(), pod: (*pod).into(), uid: Some((*uid).into()) })
        }
        _ => None,
    }
}

fn target(parts: &[&str]) -> Option<Target> {
    let (namespace, pod, uid, container) = match parts {
        [namespace, pod, container] => (namespace, pod, None, container),
        [namespace, pod, uid, container] => (namespace, pod, Some((*uid).to_owned()), container),
        _ => return None,
    };
    let target = Target { namespace: (*namespace).into(), pod: (*pod).into(), uid, container: (*container).into() };
    (!target.namespace.is_empty() && !target.pod.is_empty() && !target.container.is_empty()).then_some(target)
}

/// The subresources of the node of which the caller must be allowed one, most specific first.
#[must_use]
pub fn subresources(route: &Route) -> &'static [&'static str] {
    match route {
        Route::Health => &["healthz", "proxy"],
        Route::Pods => &["pods", "proxy"],
        Route::Logs(_) | Route::Exec(_) | Route::Attach(_) | Route::PortForward { .. } => &["proxy"],
    }
}

/// The verb that a method stands for.
#[must_use]
pub fn verb(method: &Method) -> &'static str {
    match *method {
        Method::POST => "create",
        Method::PUT => "update",
        Method::PATCH => "patch",
        Method::DELETE => "delete",
        _ => "get",
    }
}

/// Whether a flag of a query is set.
#[must_use]
pub fn flag(query: Option<&str>, names: &[&str]) -> bool {
    values(query).any(|(key, value)| names.contains(&key.as_str()) && matches!(value.as_str(), "1" | "true"))
}

/// Keys and values of a query, decoded, in order.
pub fn values(query: Option<&str>) -> impl Iterator<Item = (String, String)> {
    let pairs = query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
    pairs.map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode(key), decode(value))
    })
}

/// Takes `%41` and `+` apart; what is not valid stays as it is.
fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = text.get(at + 1..at + 3).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match (bytes[at], hex) {
            (b'%', Some(byte)) => {
                out.push(byte);
                at += 3;
            }
            (b'+', _) => {
                out.push(b' ');
                at += 1;
            }
            (byte, _) => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, expected: Option<&str>) {
        let shown = parse(path).map(|route| match route {
            Route::Logs(t) | Route::Exec(t) | Route::Attach(t) => {
                format!("{} {} {} {}", t.namespace, t.pod, t.uid.unwrap_or_default(), t.container)
            }
            other => format!("{other:?}"),
        });
        assert_eq!(shown.as_deref(), expected, "{path}");
    }

    #[test]
    fn routes() {
        check("/healthz", Some("Health"));
        check("/pods/", Some("Pods"));
        check("/containerLogs/ns/p/c", Some("ns p  c"));
        check("/exec/ns/p/u1/c", Some("ns p u1 c"));
        check("/exec/ns/p", None);
        check("/portForward/ns/p", Some("PortForward { namespace: \"ns\", pod: \"p\", uid: None }"));
        check("/", None);
        check("/containerLogs///", None);
    }

    #[test]
    fn queries() {
        let got: Vec<_> = values(Some("command=sh&command=-c&command=echo+%22a%25b%22&x&y=%zz")).collect();
        let expected = [("command", "sh"), ("command", "-c"), ("command", "echo \"a%b\""), ("x", ""), ("y", "%zz")];
        let expected: Vec<_> = expected.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        assert_eq!(got, expected);
        assert!(flag(Some("a=1&tty=true"), &["tty"]) && !flag(Some("tty=0"), &["tty"]));
    }
}
