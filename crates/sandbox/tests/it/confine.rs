//! What a confined program sees and can do, judged by what comes out of it and by the host's files.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};

use botpipe_sandbox::{
    Bound, Bounds, Confinement, Containment, Error, Exit, How, Launch, Layer, Network, Probe,
    Scratch,
};

/// A host with a workspace, and a program in it.
pub(crate) struct Host {
    folder: tempfile::TempDir,
}

impl Host {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir_in("/var/tmp").unwrap();
        fs::create_dir_all(folder.path().join("work/src")).unwrap();
        fs::write(folder.path().join("work/.env"), "the secret").unwrap();
        fs::write(folder.path().join("work/src/main"), "the code").unwrap();
        Self { folder }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().canonicalize().unwrap().join(name)
    }

    fn launch(&self, confinement: Confinement, script: &str) -> Launch {
        Launch {
            program: "/bin/sh".into(),
            args: vec!["-c".into(), script.into()],
            cwd: self.path("work"),
            env: vec![("PATH".into(), "/usr/bin:/bin".into())],
            containment: Containment::Auto,
            stage1: Some(env!("CARGO_BIN_EXE_sandbox-test-program").into()),
            mark: None,
            confinement: Some(confinement),
        }
    }

    /// Exit code and output, both streams in one.
    pub(crate) fn run(&self, confinement: Confinement, script: &str) -> (How, String) {
        let (exit, said) = self.ended(confinement, script);
        (exit.how, said)
    }

    fn ended(&self, confinement: Confinement, script: &str) -> (Exit, String) {
        let script = format!("exec 2>&1; {script}");
        let mut running = self.launch(confinement, &script).start().unwrap();
        let mut said = String::new();
        running.take_stdout().unwrap().read_to_string(&mut said).unwrap();
        (running.wait(), said)
    }

    /// The usual: everything outside in memory or read-only, the workspace writable.
    pub(crate) fn usual(&self) -> Vec<Layer> {
        vec![
            Layer::Private("/tmp".into()),
            Layer::Private("/var/tmp".into()),
            Layer::Writable(self.path("work")),
        ]
    }
}

pub(crate) fn files(layers: Vec<Layer>) -> Confinement {
    let network = Network::Own { doors: Vec::new() };
    Confinement { files: Some(layers), network, ..Confinement::default() }
}

#[test]
fn the_workspace_is_written_and_nothing_else() {
    let host = Host::new();
    let beside = host.path("beside");
    fs::write(&beside, "before").unwrap();
    let script = format!(
        "echo new > made && echo mine > /tmp/own && cat /tmp/own; \
         echo no > /etc/botpipe-test; echo no > {0}; cat {0}; id -u",
        beside.display()
    );
    let (how, said) = host.run(files(host.usual()), &script);
    assert_eq!(how, How::Exited(0), "{said}");
    assert!(said.contains("mine"), "{said}");
    assert!(said.contains("Read-only file system"), "{said}");
    assert!(!said.contains("before"), "{said}");
    assert!(!said.trim().ends_with("\n0"), "{said}");
    assert_eq!(fs::read_to_string(host.path("work/made")).unwrap(), "new\n");
    assert_eq!(fs::read_to_string(beside).unwrap(), "before");
    assert!(!Path::new("/etc/botpipe-test").exists());
    assert!(!Path::new("/tmp/own").exists());
}

#[test]
fn what_is_hidden_does_not_come_back() {
    let host = Host::new();
    let work = host.path("work");
    let mut layers = host.usual();
    layers.pop();
    layers.push(Layer::Scratch(Scratch {
        at: work.clone(),
        hidden: vec![".env".into(), "src/.env".into()],
        folders: vec!["target".into()],
        writable: false,
    }));
    layers.push(Layer::Writable(work.join("src")));
    layers.push(Layer::Private(work.join("target")));
    let script = "ls -a; cat .env; echo x > file; echo x > target/out && cat target/out; \
                  echo y > src/made; touch ready; until [ -e src/go ]; do sleep 0.01; done; cat .env";
    let mut running = host.launch(files(layers), &format!("exec 2>&1; {script}")).start().unwrap();
    let replaced = work.join("new");
    fs::write(&replaced, "the secret again").unwrap();
    fs::rename(&replaced, work.join(".env")).unwrap();
    fs::write(work.join("src/go"), "").unwrap();
    let mut said = String::new();
    running.take_stdout().unwrap().read_to_string(&mut said).unwrap();
    running.wait();
    assert!(!said.contains("secret"), "{said}");
    assert!(said.contains("No such file"), "{said}");
    assert!(said.contains("x\n"), "{said}");
    assert_eq!(fs::read_to_string(work.join("src/made")).unwrap(), "y\n");
    assert!(!work.join("target").exists() && !work.join("file").exists());
}

#[test]
fn what_is_written_to_a_scratch_folder_is_gone() {
    let host = Host::new();
    let work = host.path("work");
    let mut layers = host.usual();
    layers.pop();
    layers.push(Layer::Scratch(Scratch { at: work.clone(), writable: true, ..Scratch::default() }));
    // As builds do: a folder is taken away and made anew.
    let script = "echo changed > src/main && rm .env && mkdir -p a/b && echo deep > a/b/c && cat src/main a/b/c \
                  && rm -r src && mkdir src && ls src && echo empty";
    let (how, said) = host.run(files(layers), script);
    assert_eq!((how, said.as_str()), (How::Exited(0), "changed\ndeep\nempty\n"));
    assert_eq!(fs::read_to_string(work.join("src/main")).unwrap(), "the code");
    assert!(work.join(".env").exists() && !work.join("a").exists());
}

#[test]
fn what_is_covered_is_there_and_cannot_be_read_written_or_moved() {
    let host = Host::new();
    let work = host.path("work");
    let mut layers = host.usual();
    layers.push(Layer::Writable(work.join("src")));
    layers.push(Layer::Masked(work.join("src/main")));
    layers.push(Layer::Masked(work.join(".env")));
    let script = "cat .env src/main; echo x > .env; rm .env; mv src other; chmod 777 .env; ls src";
    let (_, said) = host.run(files(layers), script);
    assert!(!said.contains("secret") && !said.contains("the code"), "{said}");
    assert_eq!(fs::read_to_string(work.join(".env")).unwrap(), "the secret");
    assert_eq!(fs::read_to_string(work.join("src/main")).unwrap(), "the code");
}

#[test]
fn a_file_that_turns_up_is_covered_when_it_is_said() {
    let host = Host::new();
    let work = host.path("work");
    let script = "until [ -e go ]; do sleep 0.01; done; cat late; echo done";
    let mut running =
        host.launch(files(host.usual()), &format!("exec 2>&1; {script}")).start().unwrap();
    fs::write(work.join("late"), "the secret").unwrap();
    let cover = running.cover().unwrap();
    cover.path(&work.join("late"));
    // Commands are taken in order: the second is over once the first is.
    fs::write(work.join("go-now"), "").unwrap();
    cover.path(&work.join("go-now"));
    std::thread::sleep(std::time::Duration::from_millis(200));
    fs::rename(work.join("go-now"), work.join("go")).unwrap();
    let mut said = String::new();
    running.take_stdout().unwrap().read_to_string(&mut said).unwrap();
    assert!(said.contains("Permission denied") && said.ends_with("done\n"), "{said}");
    assert!(!said.contains("secret"), "{said}");
    running.wait();
}

#[test]
fn a_door_leads_out_and_nothing_else_does() {
    let host = Host::new();
    let outside = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    outside.set_nonblocking(true).unwrap();
    let port = outside.local_addr().unwrap().port();
    let network = Network::Own { doors: vec![3128] };
    let confinement = Confinement { network, ..files(host.usual()) };
    let script = format!(
        "exec 2>&1; python3 -c \"
import socket
try:
    socket.create_connection(('127.0.0.1', {port}), 2); print('out')
except OSError as e: print('refused', e.errno)
s = socket.create_connection(('127.0.0.1', 3128), 5)
s.sendall(b'hello'); print(s.recv(9).decode())
for family in (socket.AF_VSOCK, socket.AF_PACKET):
    try: socket.socket(family, socket.SOCK_STREAM); print('made')
    except OSError as e: print('closed', e.errno)
\""
    );
    let mut launch = host.launch(confinement, &script);
    let path = std::env::var_os("PATH").unwrap();
    launch.env = vec![("PATH".into(), path)];
    let mut running = launch.start().unwrap();
    let [door] = running.take_listeners().try_into().unwrap();
    let (mut caller, _): (TcpStream, _) = door.accept().unwrap();
    let mut hello = [0; 5];
    caller.read_exact(&mut hello).unwrap();
    caller.write_all(b"welcome").unwrap();
    drop(caller);
    let mut said = String::new();
    running.take_stdout().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(said, "refused 111\nwelcome\nclosed 1\nclosed 1\n");
    assert!(outside.accept().is_err());
    running.wait();
}

#[test]
fn nothing_is_started_where_a_layer_cannot_be_laid() {
    let host = Host::new();
    let mut layers = host.usual();
    layers.push(Layer::Writable(host.path("work/missing")));
    match host.launch(files(layers), "true").start() {
        Err(Error::Refused { step, source }) => {
            assert!(step.ends_with("work/missing"), "{step}");
            assert_eq!(source.raw_os_error(), Some(2));
        }
        other => panic!("{other:?}"),
    }
    std::os::unix::fs::symlink(host.path("beside"), host.path("work/link")).unwrap();
    fs::create_dir(host.path("beside")).unwrap();
    let mut layers = host.usual();
    layers.push(Layer::Writable(host.path("work/link/x")));
    assert!(matches!(host.launch(files(layers), "true").start(), Err(Error::Refused { .. })));
}

#[test]
fn a_bound_is_kept_by_all_together_and_told() {
    let host = Host::new();
    let bounded = |bounds, script: &str| {
        let (exit, said) = host.ended(Confinement { bounds, ..files(host.usual()) }, script);
        (exit.how, exit.beyond, said)
    };
    let size = Bounds { file_size: Some(1 << 20), ..Bounds::default() };
    let (how, beyond, said) = bounded(
        size.clone(),
        "head -c 3000000 /dev/zero > big; ls -l big | awk '{print $5}'; exec head -c 3000000 /dev/zero > big",
    );
    assert_eq!((how, beyond), (How::Signalled(25), Some(Bound::FileSize)), "{said}");
    assert!(said.contains("1048576"), "{said}");
    let (how, beyond, _) = bounded(size, "true; head -c 3000000 /dev/zero > big; exit $?");
    assert_eq!((how, beyond), (How::Exited(153), Some(Bound::FileSize)));

    let killed = How::Signalled(9);
    // Neither of them takes as much as that.
    let cpu = Bounds { cpu: Some(600), ..Bounds::default() };
    let spin = "(while :; do :; done) & (while :; do :; done) & wait";
    assert_eq!(bounded(cpu, spin), (killed, Some(Bound::Cpu), String::new()));
    let fill = "f() { head -c 40000000 /dev/zero | sort -z --buffer-size=40M | sleep 9; }; f & f & f & wait";
    let memory = Bounds { memory: Some(64 << 20), ..Bounds::default() };
    let (how, beyond, said) = bounded(memory, fill);
    assert_eq!((how, beyond), (killed, Some(Bound::Memory)), "{said}");
}

#[test]
fn processes_are_counted_for_roots_as_well() {
    let host = Host::new();
    let bounds = Bounds { processes: Some(8), ..Bounds::default() };
    let confinement = Confinement { bounds, ..files(host.usual()) };
    let few = "for i in 1 2 3 4 5 6; do sleep 0.2 & done; wait; echo well";
    let (exit, said) = host.ended(confinement.clone(), few);
    assert_eq!((exit.how, said.trim()), (How::Exited(0), "well"));
    let (exit, said) = host.ended(confinement, "for i in $(seq 20); do sleep 9 & done; wait");
    if rustix::process::geteuid().is_root() {
        assert_eq!(exit.beyond, Some(Bound::Processes), "{said}");
    } else {
        assert!(said.contains("fork"), "{said}");
    }
}

#[test]
fn canaries_tell_what_is_open_and_what_is_not() {
    let host = Host::new();
    let outside = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut layers = host.usual();
    layers.push(Layer::Masked(host.path("work/.env")));
    let launch = host.launch(files(layers), "");
    let answers = launch.probe(&[
        Probe::Read(host.path("work/.env")),
        Probe::Read(host.path("work/src/main")),
        Probe::Write(host.path("work/src")),
        Probe::Write("/etc".into()),
        Probe::Connect(outside.local_addr().unwrap()),
        Probe::Process(std::process::id()),
        Probe::Namespace,
        Probe::Family(40),
        Probe::Listen,
    ]);
    let (denied, read_only, refused, missing, closed) =
        (Err(13), Err(30), Err(111), Err(2), Err(1));
    let expected = [denied, Ok(()), Ok(()), read_only, refused, missing, closed, closed, Ok(())];
    assert_eq!(answers.unwrap(), expected);
    assert_eq!(fs::read_dir(host.path("work/src")).unwrap().count(), 1);
    let silent = Confinement { no_listening: true, ..files(host.usual()) };
    if botpipe_sandbox::landlock().is_some_and(|abi| abi >= 4) {
        let answers = host.launch(silent, "").probe(&[Probe::Listen]);
        assert_eq!(answers.unwrap(), [Err(13)]);
    }
}

/// All folders in memory hold so much together, and what is written there is nowhere on the host.
#[test]
fn folders_in_memory_are_full_at_their_bound() {
    let host = Host::new();
    let bounds = Bounds { in_memory: Some(12 << 20), ..Bounds::default() };
    let mut layers = host.usual();
    let scratch = Scratch { at: host.path("work/src"), writable: true, ..Scratch::default() };
    layers.push(Layer::Scratch(scratch));
    let name = format!("botpipe-full-{}", std::process::id());
    let each = |folder: &str| {
        format!(
            "head -c 8000000 /dev/zero > {folder}/{name} && echo {folder} holds; rm -f {folder}/{name};"
        )
    };
    let folders = ["/tmp", "/var/tmp", "/dev/shm", "src"];
    let alone: String = folders.iter().map(|folder| each(folder)).collect();
    let script = format!(
        "{alone} head -c 8000000 /dev/zero > /var/tmp/{name} && echo one; \
         for f in /tmp /dev/shm src; do head -c 8000000 /dev/zero > $f/{name} || echo full; done; \
         mkdir /tmp/many && cd /tmp/many && seq 20000 | xargs touch || echo no more names"
    );
    let (how, said) = host.run(Confinement { bounds, ..files(layers) }, &script);
    assert_eq!(how, How::Exited(0), "{said}");
    for folder in folders {
        assert!(said.contains(&format!("{folder} holds")), "{folder}: {said}");
    }
    assert!(said.matches("No space left on device").count() >= 4, "{said}");
    assert_eq!(said.matches("full\n").count(), 3, "{said}");
    assert!(said.contains("no more names"), "{said}");
    for folder in ["/tmp", "/var/tmp", "/dev/shm"] {
        assert!(!Path::new(folder).join(&name).exists(), "{folder}");
    }
    assert!(!host.path("work/src").join(&name).exists());
}
