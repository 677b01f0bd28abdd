"""A program that hosts functions for Botpipe: starts `botpipe rpc` and speaks its protocol, version 1.

    python3 host.py BOTPIPE WORKSPACE FUNCTIONS.py METHOD PARAMS

asks for one thing (METHOD with PARAMS as JSON) and prints the result as one JSON line; meanwhile it runs
the functions that FUNCTIONS.py defines when the workflow calls them. Every public function of that file
is one; it takes a `Call` and returns what JSON can hold. Standard library only.
"""

import importlib.util
import json
import queue
import subprocess
import sys
import threading


class RpcError(Exception):
    """The other side's no, with its code and what belongs to it."""

    def __init__(self, error):
        super().__init__(error.get("message", "failed"))
        self.error = error


class Cancelled(Exception):
    """Nobody waits for this call any more."""


class Call:
    """One call of a function, and what it may ask for."""

    def __init__(self, host, params):
        self._host = host
        self.id = params["call"]
        self.function = params["function"]
        self.values = params["with"]
        self.context = params["context"]

    def _ask(self, method, **params):
        return self._host.request("callback/" + method, {"call": self.id, **params})

    def llm(self, prompt, schema=None):
        params = {"prompt": prompt}
        if schema is not None:
            params["schema"] = schema
        return self._ask("llm", **params)

    def classify(self, prompt, choices):
        return self._ask("classify", prompt=prompt, choices=choices)

    def workflow(self, workflow, **params):
        return self._ask("workflow", workflow=workflow, **params)

    def read(self, artifact):
        return self._ask("artifact/read", artifact=artifact)

    def write(self, artifact, **content):
        return self._ask("artifact/write", artifact=artifact, **content)

    def items(self, worklist):
        return self._ask("worklist/items", worklist=worklist)

    def change(self, worklist, op, item=None):
        params = {"worklist": worklist, "op": op}
        if item is not None:
            params["item"] = item
        return self._ask("worklist/change", **params)

    def log(self, text):
        self._host.notify("callback/log", {"call": self.id, "text": text})


class Host:
    """The session: requests both ways over two pipes, one JSON object a line."""

    def __init__(self, botpipe, workspace, functions):
        self._functions = functions
        self._next = 0
        self._waiting = {}
        self._lock = threading.Lock()
        self.notices = []
        self._process = subprocess.Popen(
            [botpipe, "rpc", "--workspace", workspace],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        threading.Thread(target=self._read, daemon=True).start()
        self.hello = self.request(
            "initialize",
            {"protocol": 1, "client": {"name": "test host"}, "functions": sorted(functions)},
        )

    def _send(self, message):
        line = json.dumps({"jsonrpc": "2.0", **message}) + "\n"
        with self._lock:
            self._process.stdin.write(line.encode())
            self._process.stdin.flush()

    def request(self, method, params=None):
        answer = queue.Queue(1)
        with self._lock:
            self._next += 1
            number = self._next
            self._waiting[number] = answer
        self._send({"id": number, "method": method, "params": params or {}})
        message = answer.get()
        if message is None:
            raise RpcError({"message": "botpipe closed its pipe"})
        if "error" in message:
            raise RpcError(message["error"])
        return message["result"]

    def notify(self, method, params):
        self._send({"method": method, "params": params})

    def _read(self):
        for line in self._process.stdout:
            message = json.loads(line)
            if "method" not in message:
                waiting = self._waiting.pop(message["id"], None)
                if waiting is not None:
                    waiting.put(message)
            elif "id" in message:
                threading.Thread(target=self._serve, args=(message,), daemon=True).start()
            else:
                self.notices.append(message)
        with self._lock:
            waiting, self._waiting = self._waiting, {}
        for answer in waiting.values():
            answer.put(None)

    def _serve(self, message):
        if message["method"] != "host/call":
            error = {"code": -32601, "message": "no method " + message["method"]}
            return self._send({"id": message["id"], "error": error})
        call = Call(self, message["params"])
        try:
            result = self._functions[call.function](call)
            self._send({"id": message["id"], "result": result})
        except RpcError as error:
            self._send({"id": message["id"], "error": error.error})
        except Exception as error:  # whatever the function raises is its end
            text = f"{type(error).__name__}: {error}"
            self._send({"id": message["id"], "error": {"code": 1, "message": text}})

    def close(self):
        self._process.stdin.close()
        return self._process.wait()


def load(path):
    """The public functions of a file, by name."""
    spec = importlib.util.spec_from_file_location("functions", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return {
        name: value
        for name, value in vars(module).items()
        if callable(value) and not name.startswith("_") and getattr(value, "__module__", "") == "functions"
    }


def main():
    botpipe, workspace, functions, method, params = sys.argv[1:]
    host = Host(botpipe, workspace, load(functions))
    try:
        print(json.dumps(host.request(method, json.loads(params)), sort_keys=True))
        code = 0
    except RpcError as error:
        print(json.dumps({"error": error.error}, sort_keys=True))
        code = 1
    host.close()
    return code


if __name__ == "__main__":
    sys.exit(main())
