#!/usr/bin/env python3
"""check.py --program XR-LISP --work FOLDER --host ADDRESS --base A.B --kubeconfig FILE [--agent pod|process] [--repetitions N]

Runs a control plane beside the API server of a cluster, with the cluster's agent as a pod or as a process, and looks at what becomes of
Services there.
scripts/test-kube-lisp.sh prepares the cluster and the folder, and calls this.
"""
import argparse
import base64
import datetime
import http.client
import json
import os
import signal
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time

LABEL = {"xrbench.io/shared": "true"}
NAMESPACE = "/api/v1/namespaces/xr-lisp-test"
LONG = 60

# A pod's process: a page for whoever asks. That of Python's library looks for its own name first, where there may be no names.
SERVER = """
import asyncio, sys
async def answer(reader, writer):
    try:
        if await reader.readline():
            writer.write(b"HTTP/1.1 200 OK\\r\\ncontent-length: 0\\r\\n\\r\\n")
            await writer.drain()
        writer.close()
    except OSError:
        pass
async def main():
    await (await asyncio.start_server(answer, sys.argv[1], 8080)).serve_forever()
asyncio.run(main())
"""


def fail(why):
    sys.exit(f"test-kube-lisp: {why}")


def told(what):
    print(f"test-kube-lisp: {what}", flush=True)


def until(what, judge, limit=LONG):
    """Waits until `judge` gives something, and returns that."""
    end = time.monotonic() + limit
    while time.monotonic() < end:
        found = judge()
        if found:
            return found
        time.sleep(0.002)
    fail(f"{what}: not within {limit} s")


class Api:
    """The API server, by the kubeconfig's certificates."""

    def __init__(self, kubeconfig):
        view = ["kubectl", "--kubeconfig", kubeconfig, "config", "view", "--raw", "--flatten", "--minify", "--output", "json"]
        config = json.loads(subprocess.check_output(view))
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        self.context = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
        with tempfile.NamedTemporaryFile() as both:
            both.write(base64.b64decode(user["client-certificate-data"]) + base64.b64decode(user["client-key-data"]))
            both.flush()
            self.context.load_cert_chain(both.name)
        self.address = cluster["server"].removeprefix("https://")
        self.connection = None

    def ask(self, method, path, body=None, kind="application/json"):
        if self.connection is None:
            self.connection = http.client.HTTPSConnection(self.address, context=self.context, timeout=30)
            self.connection.connect()
            self.connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        body = None if body is None else json.dumps(body)
        self.connection.request(method, path, body, {"content-type": kind})
        answer = self.connection.getresponse()
        return answer.status, json.loads(answer.read() or "null")

    def make(self, path, body):
        status, answer = self.ask("POST", path, body)
        if status != 201:
            fail(f"POST {path}: {status} {answer.get('message')}")
        return answer


def service(name, labels=None, annotations=None, **spec):
    spec = {"ports": [{"port": 80, "targetPort": 8080}], "selector": {"app": name}, **spec}
    metadata = {"name": name, "labels": labels or {}, "annotations": annotations or {}}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}


class Agent:
    """The agent's process, and its log."""

    def __init__(self, args):
        self.args = args
        self.path = os.path.join(args.work, "agent.log")
        self.process = None
        self.at = 0

    def start(self):
        work = self.args.work
        command = [self.args.program, "agent", "--cluster", "seoul", "--locator", "10.0.0.11", "--control", f"https://{self.args.host}:4381"]
        for flag, file in (("--tls-cert", "agent.crt"), ("--tls-key", "agent.key"), ("--control-ca", "ca.crt"), ("--kubeconfig", "agent.kubeconfig")):
            command += [flag, os.path.join(work, file)]
        command += ["--webhook", "0.0.0.0:9443", "--webhook-name", self.args.host, "--ops", "127.0.0.1:9098", "--log-format", "json"]
        with open(self.path, "ab") as log:
            self.at = log.tell()
            self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=log)
        self.ready()

    def ready(self):
        until("/ready of the agent", lambda: self.get("/ready")[0] == 200)

    def get(self, path):
        return get(9098, path)

    def stop(self):
        self.process.terminate()
        self.process.wait()

    def keep_dead(self):
        """Does nothing: nobody starts a process again."""

    def kill(self):
        self.process.kill()
        self.process.wait()

    def end(self):
        if self.process:
            self.process.kill()

    def lines(self):
        with open(self.path, "rb") as log:
            log.seek(self.at)
            text = log.read()
        for line in text[: text.rfind(b"\n") + 1].splitlines():
            try:
                yield json.loads(line)
            except ValueError:
                continue

    def event(self, message, name, after):
        """The log's line of this message about a Service, after a time; its fields and its time."""

        def find():
            for line in self.lines():
                fields = line.get("fields", {})
                if fields.get("message") != message or fields.get("service") != f"xr-lisp-test/{name}":
                    continue
                at = datetime.datetime.fromisoformat(line["timestamp"].replace("Z", "+00:00")).timestamp()
                if at >= after:
                    return fields, at
            return None

        return until(f"{message} {name}", find)


class PodAgent(Agent):
    """The agent as k8s/lisp has it: a Deployment's pod. Its log is followed into the same file."""

    def __init__(self, args):
        super().__init__(args)
        self.name = self.uid = self.address = None
        # Starts of its container that there must have been.
        self.restarts = 0

    def kubectl(self, *args):
        command = ["kubectl", "--kubeconfig", self.args.kubeconfig, "--namespace", "xr-lisp", *args]
        return subprocess.check_output(command, text=True)

    def pods(self):
        return json.loads(self.kubectl("get", "pods", "--output", "json"))["items"]

    def running(self):
        """The pod whose container runs, if there is one that is not on its way out; again, if it was killed."""
        for pod in self.pods():
            for status in pod["status"].get("containerStatuses") or []:
                is_again = status["restartCount"] >= self.restarts
                if is_again and "running" in status["state"] and "deletionTimestamp" not in pod["metadata"]:
                    return pod
        return None

    def start(self):
        self.kubectl("scale", "deployment/xr-lisp-agent", "--replicas=1")
        pod = until("the agent's pod", self.running)
        self.name, self.uid, self.address = pod["metadata"]["name"], pod["metadata"]["uid"], pod["status"]["podIP"]
        with open(self.path, "ab") as log:
            self.at = log.tell()
            command = ["kubectl", "--kubeconfig", self.args.kubeconfig, "--namespace", "xr-lisp", "logs", "--follow", self.name]
            self.process = subprocess.Popen(command, stdout=log, stderr=subprocess.DEVNULL)
        self.ready()
        # The webhooks are called through the Service, which has the pod as soon as its kubelet has found it ready.
        slices = ["get", "endpoints", "xr-lisp-agent", "--output", "jsonpath={.subsets[*].addresses[*].ip}"]
        until("the agent's Service has its pod", lambda: self.kubectl(*slices).split() == [self.address])
        time.sleep(2)

    def get(self, path):
        return get(9098, path, host=self.address)

    def stop(self):
        self.kubectl("scale", "deployment/xr-lisp-agent", "--replicas=0")
        until("the agent's pod is gone", lambda: not self.pods())
        self.process.wait()
        self.restarts = 0

    def kill(self):
        """Kills the process of the pod's container, which its kubelet starts again."""
        killed = self.keep_dead()
        if killed != 1:
            fail(f"{killed} processes of the agent's pod on this machine")
        self.process.wait()

    def keep_dead(self):
        """Kills what its kubelet has started again, which can be before anybody has missed it; returns how many that were."""
        groups = (self.uid, self.uid.replace("-", "_"))
        killed = 0
        for process in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{process}/cgroup") as lines, open(f"/proc/{process}/comm") as name:
                    if name.read().strip() == "xr-lisp" and any(group in line for line in lines for group in groups):
                        os.kill(int(process), signal.SIGKILL)
                        killed += 1
            except (FileNotFoundError, ProcessLookupError):
                continue
        self.restarts += killed
        return killed


def get(port, path, token=None, host="127.0.0.1"):
    connection = http.client.HTTPConnection(host, port, timeout=5)
    try:
        connection.request("GET", path, headers={"authorization": f"Bearer {token}"} if token else {})
        answer = connection.getresponse()
        return answer.status, answer.read()
    except OSError as error:
        return 0, str(error).encode()


def ready(port):
    return until(f"/ready of port {port}", lambda: get(port, "/ready")[0] == 200)


def listed(name):
    status, body = get(4380, "/v1/services", "swordfish")
    if status != 200:
        return {}
    return next((one for one in json.loads(body) if one["service"] == f"xr-lisp-test/{name}"), {})


def control(args):
    work = args.work
    command = [args.program, "control", "--config", os.path.join(work, "lisp.toml"), "--store", os.path.join(work, "store.sqlite")]
    command += ["--listen", f"{args.host}:4342", "--api", "127.0.0.1:4380", "--ops", "127.0.0.1:9097", "--agents", f"{args.host}:4381"]
    for flag, file in (("--tls-cert", "control.crt"), ("--tls-key", "control.key"), ("--client-ca", "ca.crt")):
        command += [flag, os.path.join(work, file)]
    with open(os.path.join(work, "control.log"), "ab") as log:
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=log, env={**os.environ, "XR_TOKEN": "swordfish"})


class Pod:
    """A process that serves a page at an address of its own, and the object that says so."""

    count = 0
    all = []

    def __init__(self, api, app):
        Pod.count += 1
        self.api, self.name, self.address = api, f"{app}-{Pod.count}", f"10.77.{Pod.count // 250}.{Pod.count % 250 + 1}"
        subprocess.check_call(["ip", "address", "add", f"{self.address}/32", "dev", "lo"])
        self.process = subprocess.Popen(["python3", "-c", SERVER, self.address])
        Pod.all.append(self)
        until(f"{self.name} listens", lambda: socket.socket().connect_ex((self.address, 8080)) == 0)
        container = {"name": "played", "image": "played/none"}
        spec = {"nodeName": "played", "containers": [container], "automountServiceAccountToken": False, "terminationGracePeriodSeconds": 0}
        metadata = {"name": self.name, "labels": {"app": app}}
        api.make(f"{NAMESPACE}/pods", {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
        self.say(True)

    def say(self, is_ready):
        condition = {"type": "Ready", "status": "True" if is_ready else "False"}
        status = {"phase": "Running", "podIP": self.address, "podIPs": [{"ip": self.address}], "conditions": [condition]}
        path = f"{NAMESPACE}/pods/{self.name}/status"
        code, answer = self.api.ask("PATCH", path, {"status": status}, "application/strategic-merge-patch+json")
        if code != 200:
            fail(f"{path}: {answer}")

    def kill(self):
        self.process.kill()
        self.process.wait()

    def delete(self):
        self.api.ask("DELETE", f"{NAMESPACE}/pods/{self.name}?gracePeriodSeconds=0")
        self.end()

    def end(self):
        self.kill()
        subprocess.call(["ip", "address", "delete", f"{self.address}/32", "dev", "lo"])
        Pod.all.remove(self)


def addresses(api, args):
    """Who gets an address of a pool, and who does not."""
    services = f"{NAMESPACE}/services"
    pool = f"{args.base}.240."
    status, preview = api.ask("POST", f"{services}?dryRun=All", service("cart", LABEL))
    if status != 201 or not preview["spec"]["clusterIP"].startswith(pool) or listed("cart"):
        fail(f"a dry run: {status} {preview.get('spec') or preview.get('message')}, {listed('cart')}")
    cart = api.make(services, service("cart", LABEL))["spec"]
    if cart["clusterIP"] != preview["spec"]["clusterIP"] or cart["clusterIPs"] != [cart["clusterIP"]]:
        fail(f"the address: {cart}")
    until("cart is held", lambda: listed("cart").get("clusters") == ["seoul"])
    plain = api.make(services, service("plain"))["spec"]["clusterIP"]
    headless = api.make(services, service("headless", LABEL, clusterIP="None"))["spec"]["clusterIP"]
    external = service("external", LABEL, type="ExternalName", externalName="a.example")
    del external["spec"]["selector"]
    external = api.make(services, external)["spec"].get("clusterIP")
    if plain.startswith(pool) or headless != "None" or external or listed("headless") or listed("external"):
        fail(f"not shared: {plain} {headless} {external}")
    for name, labels, ip, word in (
        ("by-hand", {}, f"{pool}77", "in a pool"),
        ("wrong", LABEL, f"{pool}77", "is not the address of"),
        ("outside", LABEL, f"{args.base}.3.3", "in no pool"),
    ):
        status, answer = api.ask("POST", services, service(name, labels, clusterIP=ip))
        if status != 409 or word not in answer["message"] or listed(name):
            fail(f"{name}: {status} {answer.get('message')}")
    for number in range(3):
        tiny = service(f"tiny-{number}", LABEL, {"xrbench.io/pool": "tiny"})
        status, answer = api.ask("POST", services, tiny)
        if (status, number) not in ((201, 0), (201, 1), (507, 2)):
            fail(f"the third of two addresses: {status} {answer.get('message')}")
    # Anew with the address that it has, as from a backup; without its label, never.
    status, answer = api.ask("PATCH", f"{services}/cart", {"metadata": {"labels": {"xrbench.io/shared": None}}}, "application/merge-patch+json")
    if status != 409:
        fail(f"the label goes: {status} {answer}")
    api.ask("DELETE", f"{services}/cart")
    until("cart is released", lambda: listed("cart").get("clusters") == [])
    again = api.make(services, service("cart", LABEL, clusterIP=cart["clusterIP"]))["spec"]["clusterIP"]
    if again != cart["clusterIP"]:
        fail(f"anew: {again}")
    told("addresses are given, kept and refused as they should be")


def quantiles(name, values):
    values = sorted(values)
    rank = lambda q: values[min(len(values) - 1, int(q * len(values)))]
    told(f"{name:54} p50 {statistics.median(values):8.1f}  p95 {rank(0.95):8.1f}  max {values[-1]:8.1f} ms  ({len(values)} times)")


def paced(count):
    """Numbers, each a second and a half after the one before: of lines that come much faster the agent's log drops some."""
    for number in range(count):
        begun = time.time()
        yield number
        time.sleep(max(0.0, begun + 1.5 - time.time()))


def measure(api, agent, args):
    """A Service from its creation to its registration, and from its pod's end to its withdrawal."""
    rows = {}
    add = lambda name, value_s: rows.setdefault(name, []).append(value_s * 1e3)
    services = f"{NAMESPACE}/services"
    for number in paced(args.repetitions):
        name = f"m{number}"
        pod = Pod(api, name)
        begun = time.time()
        api.make(services, service(name, LABEL))
        given, given_at = agent.event("address given", name, begun)
        done, registered_at = agent.event("registered", name, begun)
        if listed(name).get("registered") != ["seoul"]:
            fail(f"registered: {listed(name)}")
        own = (given["took_us"] + done["noticed_us"] + done["answered_us"]) / 1e6
        add("Create_to_getID", given_at - begun)
        add("getID_to_MapReg", registered_at - given_at)
        add("of both, LISP's own (agent and control plane)", own)
        # The first probe was answered, or its silence would say nothing.
        time.sleep(0.35)
        killed = time.time()
        pod.kill()
        done, withdrawn_at = agent.event("withdrawn", name, killed)
        until("nobody has it", lambda: listed(name).get("registered") == [])
        add("pod killed to withdrawn", withdrawn_at - killed)
        add("of that, from the first probe without an answer", (done["noticed_us"] + done["answered_us"]) / 1e6)
        add("of that, the request to the control plane", done["answered_us"] / 1e6)
        pod.delete()
        api.ask("DELETE", f"{services}/{name}")
    for number in paced(args.repetitions):
        name = f"k{number}"
        pod = Pod(api, name)
        begun = time.time()
        api.make(services, service(name, LABEL, {"xrbench.io/probe": "none"}))
        agent.event("registered", name, begun)
        said = time.time()
        pod.say(False)
        add("said to be unready to draining (by Kubernetes alone)", agent.event("draining", name, said)[1] - said)
        agent.event("withdrawn", name, said)
        pod.delete()
        api.ask("DELETE", f"{services}/{name}")
    for name, values in rows.items():
        quantiles(name, values)


def hung(api, agent):
    """A pod that takes connections and answers nothing is seen by a page only."""
    begun = time.time()
    pod = Pod(api, "hung")
    api.make(f"{NAMESPACE}/services", service("hung", LABEL, {"xrbench.io/probe": "http:8080/"}))
    agent.event("registered", "hung", begun)
    time.sleep(0.35)
    stopped = time.time()
    pod.process.send_signal(signal.SIGSTOP)
    _, at = agent.event("withdrawn", "hung", stopped)
    pod.process.send_signal(signal.SIGCONT)
    agent.event("registered", "hung", at)
    pod.delete()
    told(f"a pod that hangs is seen after {(at - stopped) * 1e3:.0f} ms, and comes back")


def absences(api, agent, running, args):
    """The control plane and the agent go, and come back."""
    services = f"{NAMESPACE}/services"
    pod = Pod(api, "kept")
    begun = time.time()
    api.make(services, service("kept", LABEL))
    agent.event("registered", "kept", begun)
    running.kill()
    running.wait()
    status, answer = api.ask("POST", services, service("while-away", LABEL))
    if status == 201:
        fail("an address from nobody")
    running = control(args)
    begun = time.time()
    _, at = agent.event("registered", "kept", begun)
    told(f"the control plane is killed and comes back: registered again after {(at - begun) * 1e3:.0f} ms, its start included")

    # An agent that is asked to stop hands over: what runs stays registered until the next one is there.
    agent.stop()
    status, _ = api.ask("POST", services, service("while-away", LABEL))
    by_hand = f"{args.base}.240.200"
    status_by_hand, _ = api.ask("POST", services, service("by-hand", clusterIP=by_hand))
    if status == 201 or status_by_hand != 201:
        fail(f"without an agent: {status}, {status_by_hand}")
    time.sleep(2)
    if listed("kept").get("registered") != ["seoul"]:
        fail("the agent has stopped, and took its Service along")
    agent.start()
    metric = lambda: b'xr_lisp_agent_requests_total{request="conflict",outcome="done"} 1' in agent.get("/metrics")[1]
    until("the address that was taken by hand is reported", metric)
    api.make(services, service("while-away", LABEL))
    # One that is killed is missed.
    killed = time.time()
    agent.kill()
    until("the cluster is lost", lambda: not agent.keep_dead() and listed("kept").get("registered") == [])
    told(f"the agent is killed: withdrawn after {(time.time() - killed) * 1e3:.0f} ms")
    agent.start()
    agent.event("registered", "kept", killed)
    pod.delete()
    return running


def main():
    parser = argparse.ArgumentParser()
    for name in ("program", "work", "host", "base", "kubeconfig"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--agent", choices=["pod", "process"], default="process")
    parser.add_argument("--repetitions", type=int, default=10)
    args = parser.parse_args()
    api = Api(args.kubeconfig)
    agent = PodAgent(args) if args.agent == "pod" else Agent(args)
    running = control(args)
    try:
        ready(9097)
        agent.start()
        told(f"the agent is a {args.agent}")
        api.ask("POST", "/api/v1/nodes", {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "played"}})
        until("an account", lambda: api.ask("GET", f"{NAMESPACE}/serviceaccounts/default")[0] == 200)
        addresses(api, args)
        measure(api, agent, args)
        hung(api, agent)
        running = absences(api, agent, running, args)
    finally:
        agent.end()
        running.kill()
        for pod in list(Pod.all):
            pod.end()


main()
