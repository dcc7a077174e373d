#!/usr/bin/env python3
"""Writes what a kube-apiserver prints of objects: the cells of `kubectl get`.

    record.py --url https://127.0.0.1:6443 --token TOKEN [--definitions definitions.tsv] FILE.yaml…

A case has an `object`, which the server completes, and may be `deleted: true`. Recorded are the resource, the object as the server has it, the
time (`now`) and the `cells`. Cases that are recorded already are left alone. Objects are made in the namespace `default` and taken away.
`--definitions` writes the columns of all resources that the server has: name, type, format, priority.
"""
import argparse, email.utils, json, ssl, sys, urllib.error, urllib.request
import yaml

DROPPED = ["uid", "resourceVersion", "managedFields", "generation", "finalizers", "namespace"]
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
yaml.SafeLoader.yaml_implicit_resolvers = {
    first: [(tag, regexp) for tag, regexp in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()}


class Server:
    def __init__(self, url, token):
        self.url, self.token, self.kinds = url, token, {}
        self.context = ssl._create_unverified_context()

    def ask(self, method, path, body=None, accept="application/json"):
        content = "application/merge-patch+json" if method == "PATCH" else "application/json"
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": content, "Accept": accept}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        try:
            answer = urllib.request.urlopen(request, context=self.context)
        except urllib.error.HTTPError as error:
            sys.exit(f"{method} {path}: {error.read().decode()}")
        now = email.utils.parsedate_to_datetime(answer.headers["Date"]).strftime("%Y-%m-%dT%H:%M:%SZ")
        return json.loads(answer.read()), now

    def row(self, obj):
        version = obj["apiVersion"]
        base = f"/apis/{version}" if "/" in version else f"/api/{version}"
        if version not in self.kinds:
            self.kinds[version] = self.ask("GET", base)[0]["resources"]
        row = next(r for r in self.kinds[version] if r["kind"] == obj["kind"] and "/" not in r["name"])
        group = version.split("/")[0] if "/" in version else ""
        place = "/namespaces/default" if row["namespaced"] else ""
        return f"{base}{place}/{row['name']}", f"{row['name']}.{group}" if group else row["name"]

    def definitions(self):
        """A line for each column, of the preferred version of each resource."""
        groups = [("", "/api/v1")] + [
            (g["name"], "/apis/" + v["groupVersion"]) for g in self.ask("GET", "/apis")[0]["groups"] for v in g["versions"]]
        seen = set()
        for group, base in groups:
            for row in self.ask("GET", base)[0]["resources"]:
                name = f"{row['name']}.{group}" if group else row["name"]
                if "/" in name or "list" not in row["verbs"] or name in seen:
                    continue
                seen.add(name)
                table, _ = self.ask("GET", f"{base}/{row['name']}?limit=1", accept=TABLE)
                for index, column in enumerate(table["columnDefinitions"]):
                    cells = [column["name"], column["type"], column["format"], str(column["priority"])]
                    yield "\t".join([name, f"{index:02}", *cells]) + "\n"

    def record(self, case):
        obj = case["object"]
        collection, case["resource"] = self.row(obj)
        if case.get("deleted"):
            obj.setdefault("metadata", {})["finalizers"] = ["example.com/kept"]
        table = "?dryRun=All&includeObject=Object"
        if "status" not in obj and not case.get("deleted"):
            answer = self.ask("POST", collection + table, obj, TABLE)
        else:
            made, _ = self.ask("POST", collection, obj)
            path = f"{collection}/{made['metadata']['name']}"
            if "status" in obj and made.get("status") != obj["status"]:
                made, _ = self.ask("PATCH", path + "/status", {"status": obj["status"]})
            if case.get("deleted"):
                self.ask("DELETE", path + "?gracePeriodSeconds=0")
            answer = self.ask("GET", path + "?includeObject=Object", accept=TABLE)
            self.ask("PATCH", path, {"metadata": {"finalizers": None}})
            if not case.get("deleted"):
                self.ask("DELETE", path + "?gracePeriodSeconds=0&propagationPolicy=Background")
        (row,), case["now"] = answer[0]["rows"], answer[1]
        case["object"], case["cells"] = row["object"], row["cells"]
        for field in DROPPED:
            case["object"]["metadata"].pop(field, None)


def main():
    args = argparse.ArgumentParser()
    args.add_argument("--url", required=True)
    args.add_argument("--token", required=True)
    args.add_argument("--definitions")
    args.add_argument("files", nargs="*")
    args = args.parse_args()
    server = Server(args.url, args.token)
    if args.definitions:
        with open(args.definitions, "w") as out:
            out.writelines(sorted(server.definitions()))
    for file in args.files:
        cases = yaml.safe_load(open(file))
        for case in cases:
            if "cells" not in case:
                server.record(case)
        with open(file, "w") as out:
            for case in cases:
                keys = ["name", "resource", "now", "deleted", "object", "cells"]
                lines = [f"{key}: {json.dumps(case[key], ensure_ascii=False)}" for key in keys if key in case]
                out.write("- " + "\n  ".join(lines) + "\n")
        print(f"{file}: {len(cases)} cases")


main()
