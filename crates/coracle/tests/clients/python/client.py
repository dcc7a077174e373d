"""What programs do with the Python client: every case runs against one cluster, in one namespace.

Usage: client.py NAMESPACE SHELL-IMAGE WEB-IMAGE. The kubeconfig is the environment's.
"""

import hashlib
import http.client
import json
import logging
import sys
import threading
import time

from kubernetes import client, config, dynamic, watch
from kubernetes.client.rest import ApiException
from kubernetes.informer import SharedInformer
from kubernetes.leaderelection.electionconfig import Config
from kubernetes.leaderelection.leaderelection import LeaderElection
from kubernetes.leaderelection.resourcelock.configmaplock import ConfigMapLock
from kubernetes.stream import portforward, stream

NAMESPACE, SHELL, WEB = sys.argv[1:4]
LIMIT = 40  # seconds for anything that a cluster should do at once

logging.disable()  # the informer logs its own stop as an error
config.load_kube_config()
core, apps = client.CoreV1Api(), client.AppsV1Api()
CASES = []


def case(function):
    CASES.append(function)
    return function


def config_map(name, data=None, labels=None):
    return client.V1ConfigMap(metadata=client.V1ObjectMeta(name=name, labels=labels), data=data or {})


def refused(status, function, *arguments, **options):
    """The error of a call that must fail with `status`, and its body parsed."""
    try:
        function(*arguments, **options)
    except ApiException as error:
        assert error.status == status, f"{error.status} instead of {status}: {error}"
        body = json.loads(error.body)
        assert body["kind"] == "Status" and body["status"] == "Failure" and body["code"] == status, body
        return body
    raise AssertionError(f"{function.__name__} was accepted")


def until(what, done):
    deadline = time.monotonic() + LIMIT
    while not (value := done()):
        assert time.monotonic() < deadline, f"not within {LIMIT} s: {what}"
        time.sleep(0.02)
    return value


def pod(name, image, command=None):
    container = client.V1Container(name="main", image=image, command=command)
    spec = client.V1PodSpec(containers=[container], termination_grace_period_seconds=0)
    return client.V1Pod(metadata=client.V1ObjectMeta(name=name), spec=spec)


def running(name):
    def ready():
        conditions = core.read_namespaced_pod(name, NAMESPACE).status.conditions or []
        return any(c.type == "Ready" and c.status == "True" for c in conditions)

    until(f"pod {name} is ready", ready)


@case
def creates_reads_patches_replaces_deletes():
    created = core.create_namespaced_config_map(NAMESPACE, config_map("first", {"a": "1", "b": "2"}))
    assert created.metadata.uid and created.metadata.creation_timestamp.tzinfo
    patched = core.patch_namespaced_config_map("first", NAMESPACE, {"data": {"a": "3", "b": None}})
    assert patched.data == {"a": "3"}, patched.data
    patched = core.patch_namespaced_config_map(
        "first", NAMESPACE, [{"op": "add", "path": "/data/c", "value": "4"}]
    )
    assert patched.data == {"a": "3", "c": "4"}, patched.data
    patched.data = {"d": "5"}
    assert core.replace_namespaced_config_map("first", NAMESPACE, patched).data == {"d": "5"}
    deleted = core.delete_namespaced_config_map("first", NAMESPACE)
    assert deleted.status == "Success" and deleted.details.name == "first", deleted
    refused(404, core.read_namespaced_config_map, "first", NAMESPACE)


@case
def lists_in_pages():
    for index in range(7):
        labels = {"set": "paged", "odd": str(index % 2)}
        core.create_namespaced_config_map(NAMESPACE, config_map(f"page-{index}", labels=labels))
    names, token, remaining = [], None, []
    while True:
        page = core.list_namespaced_config_map(NAMESPACE, label_selector="set=paged", limit=3, _continue=token)
        names += [item.metadata.name for item in page.items]
        remaining.append(page.metadata.remaining_item_count)
        token = page.metadata._continue
        if not token:
            break
    assert names == [f"page-{index}" for index in range(7)], names
    assert len(remaining) == 3, remaining
    odd = core.list_namespaced_config_map(NAMESPACE, label_selector="set in (paged),odd=1").items
    assert len(odd) == 3, odd
    one = core.list_namespaced_config_map(NAMESPACE, field_selector="metadata.name=page-4").items
    assert [item.metadata.name for item in one] == ["page-4"]
    core.delete_collection_namespaced_config_map(NAMESPACE, label_selector="set=paged")
    assert not core.list_namespaced_config_map(NAMESPACE, label_selector="set=paged").items
    refused(400, core.list_namespaced_config_map, NAMESPACE, limit=1, _continue="nonsense")


@case
def watches_and_resumes():
    start = core.list_namespaced_config_map(NAMESPACE).metadata.resource_version
    core.create_namespaced_config_map(NAMESPACE, config_map("seen", {"n": "0"}))
    core.patch_namespaced_config_map("seen", NAMESPACE, {"data": {"n": "1"}})
    first = take(start, 2)
    assert [event for event, _ in first] == ["ADDED", "MODIFIED"], first
    core.delete_namespaced_config_map("seen", NAMESPACE)
    assert [event for event, _ in take(first[0][1], 2)] == ["MODIFIED", "DELETED"]
    assert [event for event, _ in take(first[1][1], 1)] == ["DELETED"]


def take(version, count):
    """The next `count` events for `seen` after a resource version, with their own versions."""
    selector = "metadata.name=seen"
    options = {"resource_version": version, "field_selector": selector, "timeout_seconds": LIMIT}
    watcher, seen = watch.Watch(), []
    for event in watcher.stream(core.list_namespaced_config_map, NAMESPACE, **options):
        seen.append((event["type"], event["object"].metadata.resource_version))
        if len(seen) == count:
            watcher.stop()
    return seen


@case
def is_told_that_a_version_is_too_old():
    options = {"resource_version": "1", "timeout_seconds": 5}
    try:
        for event in watch.Watch().stream(core.list_namespaced_config_map, NAMESPACE, **options):
            raise AssertionError(f"an event: {event}")
    except ApiException as error:
        assert error.status == 410 and error.reason.startswith("Expired: too old resource version: 1"), error
    else:
        raise AssertionError("the watch ended without an error")


@case
def keeps_a_shared_informer():
    informer = SharedInformer(core.list_namespaced_config_map, namespace=NAMESPACE, label_selector="by=informer")
    seen = []
    for kind in ("ADDED", "MODIFIED", "DELETED"):
        informer.add_event_handler(kind, lambda item, kind=kind: seen.append((kind, item.metadata.name)))
    informer.start()
    core.create_namespaced_config_map(NAMESPACE, config_map("watched", labels={"by": "informer"}))
    until("added", lambda: ("ADDED", "watched") in seen)
    core.patch_namespaced_config_map("watched", NAMESPACE, {"data": {"x": "y"}})
    until("modified", lambda: ("MODIFIED", "watched") in seen)
    assert informer.cache.get_by_key(f"{NAMESPACE}/watched").data == {"x": "y"}
    core.delete_namespaced_config_map("watched", NAMESPACE)
    until("deleted", lambda: ("DELETED", "watched") in seen)
    assert informer.cache.list() == []
    informer.stop()


@case
def parses_errors():
    core.create_namespaced_config_map(NAMESPACE, config_map("taken"))
    assert refused(409, core.create_namespaced_config_map, NAMESPACE, config_map("taken"))["reason"] == "AlreadyExists"
    stale = core.read_namespaced_config_map("taken", NAMESPACE)
    core.patch_namespaced_config_map("taken", NAMESPACE, {"data": {"x": "y"}})
    assert refused(409, core.replace_namespaced_config_map, "taken", NAMESPACE, stale)["reason"] == "Conflict"
    invalid = refused(422, core.create_namespaced_config_map, NAMESPACE, config_map("Not_A_Name"))
    assert invalid["reason"] == "Invalid" and invalid["details"]["kind"] == "ConfigMap"
    assert invalid["details"]["causes"][0]["field"] == "metadata.name", invalid
    missing = refused(404, core.read_namespaced_pod, "nobody", NAMESPACE)
    assert missing["reason"] == "NotFound" and missing["details"] == {"name": "nobody", "kind": "pods"}
    assert refused(400, core.list_namespaced_pod, NAMESPACE, label_selector="a==b==c")["reason"] == "BadRequest"
    core.delete_namespaced_config_map("taken", NAMESPACE)


@case
def is_forbidden_what_a_service_account_may_not():
    core.create_namespaced_service_account(
        NAMESPACE, client.V1ServiceAccount(metadata=client.V1ObjectMeta(name="weak"))
    )
    request = client.AuthenticationV1TokenRequest(spec=client.V1TokenRequestSpec(audiences=[], expiration_seconds=600))
    token = core.create_namespaced_service_account_token("weak", NAMESPACE, request).status.token
    limited = client.Configuration.get_default_copy()
    limited.cert_file = limited.key_file = None
    limited.api_key = {"authorization": f"Bearer {token}"}
    weak = client.ApiClient(limited)
    error = refused(403, client.CoreV1Api(weak).list_namespaced_secret, NAMESPACE)
    user = f"system:serviceaccount:{NAMESPACE}:weak"
    assert error["reason"] == "Forbidden" and f'User "{user}" cannot list resource "secrets"' in error["message"], error
    myself = client.AuthenticationV1Api(weak).create_self_subject_review({}).status.user_info
    assert myself.username == user and "system:serviceaccounts" in myself.groups
    limited.api_key = {"authorization": "Bearer nonsense"}
    assert refused(401, client.CoreV1Api(client.ApiClient(limited)).list_namespace)["reason"] == "Unauthorized"
    core.delete_namespaced_service_account("weak", NAMESPACE)


@case
def runs_a_deployment():
    labels = {"app": "py"}
    container = client.V1Container(name="web", image=WEB, ports=[client.V1ContainerPort(container_port=80)])
    template = client.V1PodTemplateSpec(
        metadata=client.V1ObjectMeta(labels=labels), spec=client.V1PodSpec(containers=[container])
    )
    selector = client.V1LabelSelector(match_labels=labels)
    spec = client.V1DeploymentSpec(replicas=1, selector=selector, template=template)
    apps.create_namespaced_deployment(
        NAMESPACE, client.V1Deployment(metadata=client.V1ObjectMeta(name="py"), spec=spec)
    )
    ready = lambda: apps.read_namespaced_deployment_status("py", NAMESPACE).status.ready_replicas
    until("one replica is ready", lambda: ready() == 1)
    scale = apps.patch_namespaced_deployment_scale("py", NAMESPACE, {"spec": {"replicas": 2}})
    assert scale.kind == "Scale" and scale.spec.replicas == 2 and scale.status.selector == "app=py", scale
    until("two replicas are ready", lambda: ready() == 2)
    # a strategic merge: the container is found by its name
    env = {"containers": [{"name": "web", "env": [{"name": "A", "value": "B"}]}]}
    patched = apps.patch_namespaced_deployment("py", NAMESPACE, {"spec": {"template": {"spec": env}}})
    assert patched.spec.template.spec.containers[0].image == WEB
    options = client.V1DeleteOptions(propagation_policy="Foreground")
    apps.delete_namespaced_deployment("py", NAMESPACE, body=options)
    until("it is gone", lambda: not apps.list_namespaced_deployment(NAMESPACE).items)
    assert not apps.list_namespaced_replica_set(NAMESPACE, label_selector="app=py").items


@case
def starts_pods():
    core.create_namespaced_pod(NAMESPACE, pod("shell", SHELL, ["sh", "-c", "echo up; exec sleep 3600"]))
    core.create_namespaced_pod(NAMESPACE, pod("web", WEB))
    running("shell"), running("web")


def session(command, **options):
    streams = {"stdin": False, "stdout": True, "stderr": True, "tty": False} | options
    return stream(core.connect_get_namespaced_pod_exec, "shell", NAMESPACE, command=command, **streams)


@case
def runs_commands():
    assert session(["echo", "hello"]) == "hello\n"
    talk = session(["sh", "-c", "read a; echo got $a; echo bad >&2; exit 5"], stdin=True, _preload_content=False)
    talk.write_stdin("word\n")
    talk.run_forever(timeout=LIMIT)
    assert (talk.read_stdout(), talk.read_stderr(), talk.returncode) == ("got word\n", "bad\n", 5)
    fine = session(["true"], _preload_content=False)
    fine.run_forever(timeout=LIMIT)
    assert fine.returncode == 0
    none = session(["/no/such"], _preload_content=False)
    none.run_forever(timeout=LIMIT)
    failure = none.read_channel(3)
    assert '"status":"Failure"' in failure and "no such file" in failure, failure


@case
def closes_standard_input():
    """Version 5 of the protocol: a command that reads to the end of its input ends when the channel is closed."""
    data = bytes(range(256)) * 4096
    talk = session(["sha256sum"], stdin=True, _preload_content=False, binary=True)
    assert talk.subprotocol == "v5.channel.k8s.io", talk.subprotocol
    for start in range(0, len(data), 65536):
        talk.write_stdin(data[start : start + 65536])
    talk.close_channel(0)
    talk.run_forever(timeout=LIMIT)
    assert talk.read_stdout().split()[0].decode() == hashlib.sha256(data).hexdigest()


@case
def has_a_terminal():
    talk = session(["sh"], stdin=True, tty=True, stderr=False, _preload_content=False)
    talk.write_channel(4, json.dumps({"Width": 101, "Height": 33}))
    text = ""
    until_text = lambda: talk.update(timeout=1)
    while "33 101" not in text:
        talk.write_stdin("stty size\n")
        until_text()
        text += talk.read_stdout(timeout=1)
    talk.write_stdin("exit 3\n")
    talk.run_forever(timeout=LIMIT)
    assert talk.returncode == 3


@case
def reads_logs():
    # the raw answer: this version of the client makes text of bytes with repr()
    log = lambda **options: core.read_namespaced_pod_log("shell", NAMESPACE, _preload_content=False, **options).data
    assert log() == b"up\n"
    assert log(timestamps=True).endswith(b"Z up\n")
    follower = watch.Watch()
    for line in follower.stream(core.read_namespaced_pod_log, "shell", NAMESPACE):
        assert line == "up", line
        follower.stop()
        break


@case
def forwards_ports():
    forward = portforward(core.connect_get_namespaced_pod_portforward, "web", NAMESPACE, ports="80")
    socket = forward.socket(80)
    connection = http.client.HTTPConnection("pod", 80)
    connection.sock = socket
    connection.request("GET", "/", headers={"Connection": "close"})
    answer = connection.getresponse()
    assert (answer.status, answer.read()) == (200, b"web v1\n")
    assert forward.error(80) is None
    closed = portforward(core.connect_get_namespaced_pod_portforward, "web", NAMESPACE, ports="81")
    assert closed.socket(81).recv(1) == b""
    until("the error", lambda: closed.error(81))
    assert "connection refused" in closed.error(81).lower(), closed.error(81)


@case
def reaches_pods_through_the_proxy():
    proxied = core.connect_get_namespaced_pod_proxy_with_path
    assert proxied("web:80", NAMESPACE, "index.html", _preload_content=False).data == b"web v1\n"


@case
def uses_any_kind_dynamically():
    anything = dynamic.DynamicClient(client.ApiClient())
    maps = anything.resources.get(api_version="v1", kind="ConfigMap")
    jobs = anything.resources.get(api_version="batch/v1", kind="Job")
    assert jobs.name == "jobs" and "create" in jobs.verbs and jobs.namespaced
    maps.create(namespace=NAMESPACE, body={"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "any"}})
    maps.patch(name="any", namespace=NAMESPACE, body={"data": {"k": "v"}}, content_type="application/merge-patch+json")
    assert maps.get(name="any", namespace=NAMESPACE).data.k == "v"
    quota = anything.resources.get(api_version="v1", kind="ResourceQuota")
    body = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "any"}, "spec": {"hard": {"pods": "99"}}}
    assert quota.create(namespace=NAMESPACE, body=body).spec.hard.pods == "99"
    assert [item.metadata.name for item in quota.get(namespace=NAMESPACE).items] == ["any"]
    quota.delete(name="any", namespace=NAMESPACE)
    for event in maps.watch(namespace=NAMESPACE, timeout=LIMIT, field_selector="metadata.name=any"):
        assert event["type"] == "ADDED" and event["object"].metadata.name == "any"
        break
    maps.delete(name="any", namespace=NAMESPACE)
    try:
        maps.get(name="any", namespace=NAMESPACE)
        raise AssertionError("it is still there")
    except dynamic.exceptions.NotFoundError as error:
        assert error.summary().endswith('configmaps "any" not found'), error.summary()


@case
def elects_a_leader():
    led = []

    def candidate(identity):
        lock = ConfigMapLock("election", NAMESPACE, identity)
        leader = Config(lock, 3, 2, 1, onstarted_leading=lambda: led.append(identity), onstopped_leading=None)
        threading.Thread(target=LeaderElection(leader).run, daemon=True).start()
        return lock

    first = candidate("one")
    until("the first leads", lambda: led == ["one"])
    candidate("two")
    first.update = lambda *_: False  # it stops renewing, as a hung process does
    first.get = lambda *_: (True, None)
    until("the second leads", lambda: led == ["one", "two"])


def main():
    core.create_namespace(client.V1Namespace(metadata=client.V1ObjectMeta(name=NAMESPACE)))
    for function in CASES:
        started = time.monotonic()
        try:
            function()
        except Exception:
            print(f"failed: {function.__name__}", flush=True)
            raise
        print(f"ok {function.__name__} {round((time.monotonic() - started) * 1000)} ms", flush=True)
    core.delete_namespace(NAMESPACE)
    print(f"{len(CASES)} cases passed")


main()
