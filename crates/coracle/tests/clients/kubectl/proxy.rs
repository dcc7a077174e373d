//! `proxy`: the API in plain HTTP on loopback.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::Stdio;

use testing::image::WEB_V1;

use super::Kubectl;
use crate::has;

pub(super) fn proxies(kubectl: &Kubectl<'_>) {
    kubectl.ok(&format!("run page --image={WEB_V1}"));
    kubectl.ok("expose pod page --port=80");
    kubectl.ready("page");
    kubectl.until(
        "get endpointslices -l kubernetes.io/service-name=page -o jsonpath={.items[*].endpoints[*].conditions.ready}",
        |out| out.contains("true"),
    );
    let mut command = kubectl.command("proxy --port=0");
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("kubectl starts");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("stdout is piped")).read_line(&mut line).expect("text");
    let address = line.trim().rsplit(' ').next().unwrap_or_default().to_owned();
    let get = |path: &str| {
        let (address, path) = (address.clone(), format!("/api/v1{path}"));
        let answer = kubectl.cluster.machine().inside(move || get(&address, &path)).expect("inside the machine");
        answer.unwrap_or_else(|error| panic!("{line}: {error}"))
    };
    let base = "/namespaces/kubectl-objects";
    has(&get(&format!("{base}/pods/page")), &["200 OK", "\"kind\":\"Pod\"", "\"name\":\"page\""]);
    has(&get(&format!("{base}/pods/page:80/proxy/")), &["200 OK", "web v1"]);
    has(&get(&format!("{base}/services/page:80/proxy/index.html")), &["200 OK", "web v1"]);
    has(&get(&format!("{base}/pods/page:80/proxy/none")), &["404 Not Found"]);
    has(&get(&format!("{base}/pods/nobody")), &["404 Not Found", "pods \\\"nobody\\\" not found"]);
    child.kill().and_then(|()| child.wait()).expect("kubectl ends");
}

fn get(address: &str, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
