#!/usr/bin/env python3
"""Writes the expected sides of cases: what a kube-apiserver answers.

    record.py --server PATH/kube-apiserver FILE.yaml…    starts it with an etcd, on loopback, for this run
    record.py --url https://127.0.0.1:6443 --token TOKEN FILE.yaml…

Causes that upstream repeats are kept once, as kubectl shows them. Cases that are recorded already are left alone; --all asks them again. The form of the files is in main.rs. A server that
runs already must have been started with ADMISSION off, as `--server` does: cases are about types, not about plugins.
"""
import argparse, json, os, re, signal, socket, ssl, subprocess, sys, tempfile, time
import urllib.error, urllib.request
import yaml

ADMISSION = ("ServiceAccount,DefaultTolerationSeconds,TaintNodesByCondition,Priority,LimitRanger,DefaultStorageClass,"
             "StorageObjectInUseProtection,RuntimeClass,PersistentVolumeClaimResize,DefaultIngressClass,ResourceQuota,"
             "PodSecurity,CertificateApproval,CertificateSigning,CertificateSubjectRestriction")
MADE_METADATA = ["uid", "creationTimestamp", "resourceVersion", "managedFields"]
MADE = ["clusterIP", "clusterIPs", "nodePort", "healthCheckNodePort", "lastTransitionTime", "lastPhaseTransitionTime"]
WIDTH = 140


class Loader(yaml.SafeLoader):
    """YAML without dates: they are texts."""


Loader.yaml_implicit_resolvers = {
    first: [(tag, regexp) for tag, regexp in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()}


class Server:
    def __init__(self, url, token):
        self.url, self.token, self.kinds = url, token, {}
        self.context = ssl._create_unverified_context()

    def ask(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        try:
            answer = urllib.request.urlopen(request, context=self.context)
        except urllib.error.HTTPError as error:
            answer = error
        return answer.status, json.loads(answer.read() or b"{}"), answer.headers.get_all("Warning") or []

    def collection(self, obj):
        version = obj["apiVersion"]
        base = f"/apis/{version}" if "/" in version else f"/api/{version}"
        if version not in self.kinds:
            self.kinds[version] = self.ask("GET", base)[1]["resources"]
        row = next(r for r in self.kinds[version] if r["kind"] == obj["kind"] and "/" not in r["name"])
        place = f"/namespaces/{obj['metadata'].get('namespace', 'default')}" if row["namespaced"] else ""
        return f"{base}{place}/{row['name']}"

    def case(self, case):
        if "create" in case:
            return self.ask("POST", self.collection(case["create"]) + "?dryRun=All", case["create"])
        method, how = ("PUT", case["update"]) if "update" in case else ("POST", case["post"])
        old = how["from"]
        status, created, _ = self.ask("POST", self.collection(old), old)
        if status >= 300:
            sys.exit(f"{case['name']}: from: {created}")
        path = f"{self.collection(old)}/{created['metadata']['name']}"
        try:
            if "status" in old and created.get("status") != old["status"]:
                created["status"] = old["status"]
                status, created, _ = self.ask("PUT", path + "/status", created)
                if status >= 300:
                    sys.exit(f"{case['name']}: from: status: {created}")
            place = f"{path}/{how['subresource']}" if how.get("subresource") else path
            return self.ask(method, place + "?dryRun=All", written(how, created))
        finally:
            self.ask("DELETE", path + "?gracePeriodSeconds=0&propagationPolicy=Background")


def written(how, current):
    if "merge" in how:
        return merge(current, how["merge"])
    new = how["to"]
    if new.get("kind") == current["kind"]:
        new = json.loads(json.dumps(new))
        for field in ("uid", "resourceVersion"):
            new.setdefault("metadata", {}).setdefault(field, current["metadata"][field])
    return new


def merge(target, patch):
    if not isinstance(patch, dict):
        return patch
    target = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            target.pop(key, None)
        else:
            target[key] = merge(target.get(key), value)
    return target


def record(case, answer):
    status, body, warnings = answer
    if status < 300:
        expect = {"object": reduced(body, asked(case))}
    elif body.get("details", {}).get("causes"):
        causes = body["details"]["causes"]
        once = [cause for i, cause in enumerate(causes) if cause not in causes[:i]]
        expect = {"code": status, "causes": once}
    else:
        expect = {"code": status, "message": body.get("message", "")}
    case["expect"] = expect
    case.pop("warnings", None)
    if warnings:
        case["warnings"] = [text(w) for w in warnings]


def text(warning):
    warning = warning.encode("latin-1").decode()
    return warning[len('299 - "'):-1].replace('\\"', '"').replace("\\\\", "\\")


def asked(case):
    found = []

    def collect(value):
        if isinstance(value, dict):
            for key, inner in value.items():
                found.append((key, inner))
                collect(inner)
        elif isinstance(value, list):
            for inner in value:
                collect(inner)
    for what in ("create", "update", "post"):
        collect(case.get(what))
    return found


def reduced(obj, known):
    for field in MADE_METADATA:
        obj.get("metadata", {}).pop(field, None)
    if "generateName" in obj.get("metadata", {}) and ("name", obj["metadata"].get("name")) not in known:
        obj["metadata"]["name"] = "<made>"
    mask(obj, known)
    return obj


def mask(value, known):
    if isinstance(value, dict):
        for field in MADE:
            if field in value and (field, value[field]) not in known:
                value[field] = "<made>"
        for inner in value.values():
            mask(inner, known)
    elif isinstance(value, list):
        for inner in value:
            mask(inner, known)


WORDS = re.compile(r"^(?!(true|false|null|yes|no|on|off|y|n)$)[A-Za-z][-A-Za-z0-9_./]*( [A-Za-z][-A-Za-z0-9_./]*)*$", re.I)


def scalar(value):
    return value if isinstance(value, str) and WORDS.match(value) else json.dumps(value, ensure_ascii=False)


def flow(value):
    if isinstance(value, dict):
        return "{" + ", ".join(f"{scalar(k)}: {flow(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(flow(v) for v in value) + "]"
    return scalar(value)


def emit(value, indent):
    """The value after a key or a dash: on the line when it fits, else below."""
    line = flow(value)
    if not isinstance(value, (dict, list)) or not value or len(line) + indent < WIDTH:
        return " " + line
    return "\n" + block(value, indent)


def block(value, indent):
    pad = " " * indent
    if isinstance(value, dict):
        return "\n".join(f"{pad}{scalar(k)}:{emit(v, indent + 2)}" for k, v in value.items())
    items = []
    for item in value:
        line = emit(item, indent + 2)
        items.append(f"{pad}-{line if line[0] == ' ' else ' ' + line[1:].lstrip(' ')}")
    return "\n".join(items)


def start(binary, folder):
    ports = []
    for _ in range(3):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            ports.append(s.getsockname()[1])
    key = os.path.join(folder, "sa.key")
    subprocess.run(["openssl", "genrsa", "-out", key, "2048"], check=True, capture_output=True)
    with open(os.path.join(folder, "tokens"), "w") as tokens:
        tokens.write("admin,admin,1,system:masters\n")
    log = open(os.path.join(folder, "log"), "w")
    etcd = subprocess.Popen(["etcd", "--data-dir", os.path.join(folder, "etcd"), "--unsafe-no-fsync",
                             "--listen-client-urls", f"http://127.0.0.1:{ports[0]}",
                             "--advertise-client-urls", f"http://127.0.0.1:{ports[0]}",
                             "--listen-peer-urls", f"http://127.0.0.1:{ports[1]}"], stdout=log, stderr=log)
    api = subprocess.Popen([binary, "--etcd-servers", f"http://127.0.0.1:{ports[0]}", "--bind-address", "127.0.0.1",
                            "--secure-port", str(ports[2]), "--cert-dir", folder, "--authorization-mode", "RBAC",
                            "--token-auth-file", os.path.join(folder, "tokens"), "--service-account-key-file", key,
                            "--service-account-signing-key-file", key, "--service-account-issuer", "https://record",
                            "--service-cluster-ip-range", "10.43.0.0/16", "--allow-privileged",
                            "--runtime-config", "api/all=true",
                            "--disable-admission-plugins", ADMISSION], stdout=log, stderr=log)
    url = f"https://127.0.0.1:{ports[2]}"
    return [api, etcd], url, os.path.join(folder, "log")


def wait(server, processes, log):
    for _ in range(240):
        try:
            if server.ask("GET", "/api/v1/namespaces/default")[0] == 200:
                return
        except (OSError, ValueError):
            pass
        if processes[0].poll() is not None:
            break
        time.sleep(0.5)
    sys.exit("the server does not start:\n" + "".join(open(log).readlines()[-20:]))


def main():
    args = argparse.ArgumentParser()
    for flag in ("--server", "--url", "--token"):
        args.add_argument(flag, default="")
    args.add_argument("--all", action="store_true")
    args.add_argument("files", nargs="+")
    args = args.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        processes = []
        try:
            url, token = args.url, args.token
            if args.server:
                processes, url, log = start(args.server, folder)
                token = "admin"
            server = Server(url, token)
            if processes:
                wait(server, processes, log)
            for file in args.files:
                cases = yaml.load(open(file), Loader)
                for case in cases:
                    if args.all or "expect" not in case:
                        record(case, server.case(case))
                with open(file, "w") as out:
                    out.write(block(cases, 0) + "\n")
                print(f"{file}: {len(cases)} cases")
        finally:
            for process in processes:
                process.send_signal(signal.SIGTERM)
                process.wait()


main()
