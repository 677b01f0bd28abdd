//! What a program is refused of the network, as it is told to whoever watches.

use crate::place::Place;

#[test]
fn a_refusal_is_told_once_however_often_a_program_tries() {
    let place = Place::new();
    place.write("policy.yaml", "network: limited\nnetwork_domains: [a.example]\n");
    let script = "import os, urllib.request as r\nfor n in range(5):\n    \
                  try: r.urlopen('http://new.example/', timeout=5)\n    except OSError: pass";
    let words = ["sandbox", "--policy", "policy.yaml", "--", "python3", "-c", script];
    let said = place.say(&words).ends(0);
    assert_eq!(
        said.err,
        "botpipe sandbox: `new.example:80` is not reached: it is not in the `network_domains` of policy.yaml; \
         `network: limited` with `network_domains: [a.example, new.example]` permits it\n"
    );
}

/// In there a program's own machine has as many names as anywhere.
#[test]
fn a_server_of_its_own_is_reached_by_every_name_of_the_machine() {
    let place = Place::new();
    place.write("policy.yaml", "network: none\n");
    let script = "import http.server, socket, threading, urllib.request as r\n\
        class V6(http.server.HTTPServer): address_family = socket.AF_INET6\n\
        for kind, at, names in [(http.server.HTTPServer, '0.0.0.0', ['localhost', '0.0.0.0', '127.0.0.2']),\n    \
                (V6, '::1', ['[::1]'])]:\n    \
            s = kind((at, 0), http.server.SimpleHTTPRequestHandler)\n    \
            threading.Thread(target=s.serve_forever, daemon=True).start()\n    \
            for name in names: print(name, r.urlopen(f'http://{name}:{s.server_port}/', timeout=5).status)";
    let words = ["sandbox", "--policy", "policy.yaml", "--", "python3", "-c", script];
    let said = place.say(&words).ends(0);
    assert_eq!(said.out, "localhost 200\n0.0.0.0 200\n127.0.0.2 200\n[::1] 200\n");
}

#[test]
fn the_programs_own_machine_is_in_no_list() {
    let place = Place::new();
    for domain in ["127.0.0.1:5432", "localhost", "0.0.0.0:80"] {
        let policy = format!("network: limited\nnetwork_domains: [\"{domain}\"]\n");
        place.write("policy.yaml", &policy);
        let said = place.say(&["sandbox", "--policy", "policy.yaml", "--", "true"]).ends(125);
        assert!(said.err.contains("is a program's own machine in the sandbox"), "{said:?}");
        assert!(said.err.contains("BOTPIPE_ALLOW_CONNECT="), "{said:?}");
    }
}

#[test]
fn who_may_not_listen_is_told_the_line_and_strict_wants_all_of_it() {
    let place = Place::new();
    let policy = place.write("policy.yaml", "allow_local_binding: false\nstrict: true\n");
    place.write("serve.py", "import socket\nsocket.socket().listen()\n");
    let words = ["sandbox", "--policy", "policy.yaml", "--", "python3", "serve.py"];
    let said = place.say(&words).ends(1);
    assert!(said.err.contains("`allow_local_binding: true` permits it"), "{said:?}");
    std::fs::write(policy, "allow_local_binding: false\nnetwork: full\nstrict: true\n").unwrap();
    let workflow = "sop: 1\nname: hello\npolicy: { allow_local_binding: false, network: full, strict: true }\n\
                    steps:\n  - id: hello\n    run: echo hi\n    routes: { ok: FINISH, failed: FAIL }\n";
    place.write("workflows/hello.sop.yaml", workflow);
    let said = place.run("hello", "true", &[]).ends(7);
    assert!(said.err.contains("that is only kept in part (`strict`)"), "{said:?}");
}
