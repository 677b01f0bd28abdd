//! A port that stands for one API: what goes on, what stays, and that the real key never comes inside.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::thread;

use botpipe_egress::{Bounds, Endpoint, EndpointError, Roots, Secret, Upstream};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::world::{ANSWER, Origin, hear, listener, open, say};

fn upstream(url: &str) -> Upstream {
    let headers = vec![("X-Api-Key".to_owned(), Secret::new("real"))];
    Upstream { url: url.to_owned(), headers, roots: Roots::System }
}

/// An endpoint for what is at this URL, and where it is.
fn serve(upstream: &Upstream) -> Result<(Endpoint, SocketAddr), EndpointError> {
    let (listener, address) = listener();
    Endpoint::serve(listener, upstream, Bounds::default(), |_| {}).map(|it| (it, address))
}

fn ask(address: SocketAddr, text: &str) -> String {
    String::from_utf8_lossy(&say(address, text.as_bytes())).into_owned()
}

#[test]
fn the_real_key_goes_on_and_the_dummy_stays() {
    let api = Origin::new();
    let (_endpoint, address) = serve(&upstream(&format!("http://{}/v1/", api.address))).unwrap();
    let answer = ask(
        address,
        "POST /messages?a=b HTTP/1.1\r\nHost: 127.0.0.1:1\r\nX-API-Key: dummy\r\n\
         authorization: Bearer dummy\r\nCookie: dummy\r\nConnection: x-api-key\r\n\
         Anthropic-Version: 2023-06-01\r\nContent-Length: 4\r\n\r\nbody",
    );
    assert_eq!(answer, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
    let expected = format!(
        "POST /v1/messages?a=b HTTP/1.1\r\nHost: {}\r\nanthropic-version: 2023-06-01\r\n\
         x-api-key: real\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbody",
        api.address
    );
    assert_eq!(api.heard(), [expected]);
}

#[test]
fn nothing_leads_beside_the_base_path_or_tells_the_key() {
    let api = Origin::new();
    let (_endpoint, address) = serve(&upstream(&format!("http://{}/v1", api.address))).unwrap();
    for request in [
        "GET /../admin HTTP/1.1",
        "GET /a/.. HTTP/1.1",
        "GET /%2e%2E/admin HTTP/1.1",
        "GET /a%2f..%2Fadmin HTTP/1.1",
        "GET /..%5cadmin HTTP/1.1",
        "GET /..;a/admin HTTP/1.1",
        "GET /..\\admin HTTP/1.1",
        "GET http://evil.example/ HTTP/1.1",
        "GET evil.example/ HTTP/1.1",
        "CONNECT evil.example:443 HTTP/1.1",
        "TRACE / HTTP/1.1",
        "GET / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked",
        "GET / HTTP/1.1\nX-Api-Key: dummy",
        "\r\nGET / HTTP/1.1",
    ] {
        let answer = ask(address, &format!("{request}\r\n\r\n"));
        assert!(answer.starts_with("HTTP/1.1 400 "), "{request}: {answer}");
    }
    assert_eq!(api.visits(), 0);
    ask(address, "GET /a HTTP/1.1\r\n\r\nGET /b HTTP/1.1\r\n\r\n");
    let heard = api.heard();
    assert!(heard.len() == 1 && !heard[0].contains("/b"), "one request a connection: {heard:?}");
}

#[test]
fn an_event_stream_comes_in_as_it_is_said() {
    let api = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", api.local_addr().unwrap());
    let (more, said) = mpsc::channel::<&str>();
    let server = thread::spawn(move || {
        let (mut stream, _) = api.accept().unwrap();
        let mut heard = [0; 4096];
        assert!(stream.read(&mut heard).unwrap() > 0);
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
                    Transfer-Encoding: chunked\r\n\r\n";
        stream.write_all(head.as_bytes()).unwrap();
        for event in said {
            stream.write_all(event.as_bytes()).unwrap();
        }
    });
    let (_endpoint, address) = serve(&upstream(&url)).unwrap();
    let mut stream = open(address);
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let mut lines = BufReader::new(stream).lines().map(Result::unwrap);
    // Each is said only when the one before has arrived.
    for (chunk, line) in [("8\r\ndata: 1\n\r\n", "data: 1"), ("8\r\ndata: 2\n\r\n", "data: 2")] {
        more.send(chunk).unwrap();
        assert_eq!(lines.find(|it| it.starts_with("data: ")).unwrap(), line);
    }
    more.send("0\r\n\r\n").unwrap();
    assert_eq!(lines.last().unwrap(), "");
    drop(more);
    server.join().unwrap();
}

#[test]
fn who_waits_to_be_told_to_go_on_is_told() {
    let api = Origin::new();
    let (_endpoint, address) = serve(&upstream(&format!("http://{}", api.address))).unwrap();
    let mut stream = open(address);
    stream
        .write_all(b"PUT /a HTTP/1.1\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
        .unwrap();
    let mut told = [0; 25];
    stream.read_exact(&mut told).unwrap();
    assert_eq!(&told, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"body").unwrap();
    assert!(hear(&mut stream).ends_with(b"ok"));
    assert!(api.heard()[0].ends_with("body"));
}

/// A server with a certificate of its own, for one connection after the other, and that certificate.
///
/// It tells what it heard, or that there was no handshake.
fn tls_server(name: &str) -> (SocketAddr, String, mpsc::Receiver<Option<String>>) {
    let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let config = Arc::new(config);
    let (tell, heard) = mpsc::channel();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        while let Ok((socket, _)) = listener.accept() {
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = StreamOwned::new(connection, socket);
            let mut buffer = [0; 4096];
            let count = stream.read(&mut buffer).unwrap_or(0);
            let said = String::from_utf8_lossy(&buffer[..count]).into_owned();
            let _ = stream.write_all(ANSWER);
            if tell.send(Some(said).filter(|it| !it.is_empty())).is_err() {
                return;
            }
        }
    });
    (address, made.cert.pem(), heard)
}

/// A file with this text, gone with the folder.
fn file(folder: &str, text: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(folder);
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join("roots.pem");
    fs::write(&path, text).unwrap();
    path
}

#[test]
fn the_certificate_of_the_api_is_checked() {
    let (address, certificate, heard) = tls_server("localhost");
    let (_, stranger, _) = tls_server("localhost");
    let with = |host: &str, roots: Roots| {
        let url = format!("https://{host}:{}/v1", address.port());
        let (_endpoint, inside) = serve(&Upstream { roots, ..upstream(&url) }).unwrap();
        let answer = ask(inside, "GET /a HTTP/1.1\r\nX-Api-Key: dummy\r\n\r\n");
        (answer.lines().next().unwrap().to_owned(), heard.recv().unwrap())
    };
    let (right, stranger) = (file("right", &certificate), file("stranger", &stranger));
    let (answer, said) = with("localhost", Roots::File(right.clone()));
    assert_eq!(answer, "HTTP/1.1 200 OK");
    let said = said.unwrap();
    assert!(said.starts_with("GET /v1/a HTTP/1.1\r\nHost: localhost:"), "{said}");
    assert!(said.contains("x-api-key: real\r\n") && !said.contains("dummy"), "{said}");
    let unsaid = ("HTTP/1.1 502 Bad Gateway".to_owned(), None);
    assert_eq!(with("localhost", Roots::File(stranger.clone())), unsaid, "nobody vouches for it");
    assert_eq!(with("127.0.0.1", Roots::File(right.clone())), unsaid, "it is of another name");
    assert_eq!(with("localhost", Roots::SystemAnd(right)).0, "HTTP/1.1 200 OK");
    assert_eq!(with("localhost", Roots::SystemAnd(stranger)), unsaid, "nor does the machine");
}

#[test]
fn what_cannot_be_an_api_is_told_why() {
    let refused = |upstream: &Upstream| serve(upstream).unwrap_err().to_string();
    let of = |url: &str| refused(&upstream(url));
    assert_eq!(
        of("api.example"),
        "read `api.example` as the URL of an API: it has no scheme; write `https://host/path`"
    );
    assert!(of("ftp://api.example").contains("its scheme is neither `https` nor `http`"));
    assert!(of("https://me@api.example").contains("it has a user"));
    assert!(of("https://api.example?a=b").contains("a query"));
    assert!(of("https://").contains("the host is empty"));
    assert!(of("https://127.1").contains("looks like an address"));
    let keyed = |name: &str, value: &str| {
        let headers = vec![(name.to_owned(), Secret::new(value))];
        refused(&Upstream { headers, ..upstream("http://api.example") })
    };
    assert!(keyed("x y", "real").contains("its name has a character"));
    let said = keyed("x-key", "real\r\nHost: evil.example");
    assert!(said.contains("its value has a character") && !said.contains("real"), "{said}");
    assert!(keyed("Host", "evil.example").contains("the endpoint's own"));
    let empty = Roots::File(file("empty", "no certificates"));
    let said = refused(&Upstream { roots: empty, ..upstream("https://api.example") });
    assert!(said.contains("there are none that can be used"), "{said}");
    let shown = format!("{:?}", upstream("http://api.example"));
    assert!(!shown.contains("real"), "{shown}");
}

#[test]
fn an_api_that_is_gone_or_odd_is_told() {
    let (gone, place) = listener();
    drop(gone);
    let (_endpoint, address) = serve(&upstream(&format!("http://{place}"))).unwrap();
    assert!(ask(address, "GET / HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 502 "));
    for odd in [b"SSH-2.0-x\r\n\r\n".as_slice(), b"HTTP/1.1 101 Switching Protocols\r\n\r\n"] {
        let api = Origin::answering(odd);
        let (_endpoint, address) = serve(&upstream(&format!("http://{}", api.address))).unwrap();
        let answer = ask(address, "GET / HTTP/1.1\r\n\r\n");
        assert!(answer.starts_with("HTTP/1.1 502 ") && !answer.contains("real"), "{answer}");
    }
}
