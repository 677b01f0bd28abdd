//! The ground of one attempt: its folders, its words, and commands of the host on it.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use tempfile::TempDir;

use super::adapter::Caller;
use super::attempt::folder;
use super::{Error, doing};

/// Where programs are looked for: not in a person's own folders, which a user made for the test cannot enter.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Settings of git's that every repository is looked at by.
const SAFE: &str = "gitconfig";

/// A ground. Goes with everything that carries its mark when dropped.
pub(super) struct Ground {
    folder: TempDir,
    caller: Caller,
    /// A word that stands in everything of this trial.
    pub(super) mark: String,
    /// What must not get out.
    pub(super) secret: String,
    /// What `@word@` stands for.
    pub(super) words: BTreeMap<String, String>,
}

/// How a command of the host ended.
pub(super) struct Done {
    pub(super) status: ExitStatus,
    pub(super) said: String,
}

impl Ground {
    /// Makes one below `base`, as the caller.
    pub(super) fn make(base: &Path, caller: Caller) -> Result<Self, Error> {
        let folder =
            doing("make a ground", tempfile::Builder::new().prefix("g-").tempdir_in(base))?;
        let path = doing("find the ground", folder.path().canonicalize())?;
        doing("open the ground", fs::set_permissions(&path, fs::Permissions::from_mode(0o755)))?;
        if let (Caller::User(uid), true) = (caller, nix::unistd::getuid().is_root()) {
            doing("give the ground away", chown(&path, Some(uid), Some(uid)))?;
        }
        let word = || std::iter::repeat_with(fastrand::alphanumeric).take(14).collect::<String>();
        let mut words = BTreeMap::new();
        for name in ["work", "home", "outside", "heard"] {
            words.insert(name.to_owned(), path.join(name).display().to_string());
        }
        let (mark, secret) = (word(), format!("s3cr3t{}", word()));
        words.insert("ground".to_owned(), path.display().to_string());
        words.insert("low".to_owned(), path.join("work/tools/low.py").display().to_string());
        words.insert("via".to_owned(), path.join("work/tools/via.py").display().to_string());
        words.insert("mark".to_owned(), mark.clone());
        words.insert("secret".to_owned(), secret.clone());
        words.insert("free".to_owned(), fastrand::u16(20000..30000).to_string());
        words.insert("vsock".to_owned(), fastrand::u32(100_000..900_000_000).to_string());
        words.insert("octet".to_owned(), fastrand::u8(2..250).to_string());
        let ground = Self { folder, caller, mark, secret, words };
        let safe = fs::write(path.join(SAFE), "[safe]\n\tdirectory = *\n");
        doing("write settings of git", safe)?;
        let made = ground.host_in(
            &path,
            &fs::read_to_string(self::folder().join("ground.sh")).unwrap_or_default(),
        );
        let made = doing("make a ground", made)?;
        doing("give the workspace away", ground.give_work())?;
        if made.status.success() {
            Ok(ground)
        } else {
            let source = io::Error::other(made.said);
            Err(Error::Io { what: "make a ground".to_owned(), source })
        }
    }

    pub(super) fn path(&self) -> PathBuf {
        self.folder.path().canonicalize().unwrap_or_else(|_| self.folder.path().to_owned())
    }

    pub(super) fn work(&self) -> PathBuf {
        self.path().join("work")
    }

    /// A text with its words filled in.
    pub(super) fn fill(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (word, value) in &self.words {
            text = text.replace(&format!("@{word}@"), value);
        }
        text
    }

    /// A command as the caller has it: only the environment that is given.
    pub(super) fn command(&self, words: &[String]) -> Command {
        let mut all = self.caller.words();
        all.extend_from_slice(words);
        let mut command = Command::new(&all[0]);
        command.args(&all[1..]).env_clear().env("PATH", PATH).env("LANG", "C.UTF-8");
        command.env("HOME", self.path().join("home")).env("USER", "caller");
        if matches!(self.caller, Caller::RootFor(_)) {
            // Git of root's own looks at nobody else's repository without it.
            command.env("GIT_CONFIG_SYSTEM", self.path().join(SAFE));
        }
        // What Botpipe itself writes down is no change of the home.
        command.env("XDG_STATE_HOME", self.path().join("state"));
        command.env("SECRET_OF_THE_CALLER", format!("CALLER={}", self.secret));
        command.current_dir(self.work()).stdin(Stdio::null());
        command
    }

    /// Runs shell text of the host, words filled in, in the workspace.
    pub(super) fn host(&self, text: &str) -> io::Result<Done> {
        let done = self.host_in(&self.work(), text)?;
        self.give_work()?;
        Ok(done)
    }

    /// Gives the workspace to whose it is. What is beside it is that user's too, so that no rights of files close it.
    fn give_work(&self) -> io::Result<()> {
        let Caller::RootFor(user) = self.caller else { return Ok(()) };
        let mut give = Command::new("chown");
        let all = ["work", "outside"].map(|name| self.path().join(name));
        give.arg("-hR").arg(format!("{user}:{user}")).args(all);
        if give.status()?.success() { Ok(()) } else { Err(io::Error::other("chown failed")) }
    }

    fn host_in(&self, folder: &Path, text: &str) -> io::Result<Done> {
        let text = self.fill(text);
        let mut command = self.command(&["timeout", "20", "sh", "-ec", &text].map(str::to_owned));
        command.current_dir(folder).env("SECRET", &self.secret).env("TOOLS", self::folder());
        let done = command.output()?;
        let said = String::from_utf8_lossy(&done.stderr).trim().to_owned();
        Ok(Done { status: done.status, said })
    }

    /// Starts the process of the host that attempts reach for: it has the secret in its arguments, its
    /// environment and its open file 7.
    pub(super) fn victim(&mut self) -> Result<Child, Error> {
        let text = "cd @outside@; exec 7<@outside@/secret; export VICTIM=@secret@; \
                    exec python3 @low@ victim @outside@/ready @outside@/signalled VICTIM-@secret@";
        let words = ["sh", "-c", &self.fill(text)].map(str::to_owned);
        let child = doing("start the victim", self.command(&words).stdout(Stdio::null()).spawn())?;
        self.wait_for("outside/ready");
        self.words.insert("victim".to_owned(), child.id().to_string());
        Ok(child)
    }

    /// Starts the proxy that lets everything pass.
    pub(super) fn open_proxy(&mut self, resolve: &[String]) -> Result<Child, Error> {
        let ready = self.path().join("proxy");
        let mut words = ["python3", "@via@", "open-proxy", &ready.display().to_string()]
            .map(|it| self.fill(it))
            .to_vec();
        words.extend_from_slice(resolve);
        let child = doing("start the open proxy", self.command(&words).spawn())?;
        self.wait_for("proxy");
        let port = doing("hear from the open proxy", fs::read_to_string(ready))?;
        self.words.insert("proxy".to_owned(), port);
        Ok(child)
    }

    fn wait_for(&self, name: &str) {
        for _ in 0..1000 {
            if self.path().join(name).metadata().is_ok_and(|it| it.size() > 0) {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }

    /// Removes what attempts put elsewhere on the machine: only names with the mark.
    fn sweep(&self) {
        let name = format!("botpipe-{}", self.mark);
        for folder in
            ["/tmp", "/var/tmp", "/dev/shm", "/run", "/etc", "/etc/cron.d", "/usr/local/bin"]
        {
            drop(fs::remove_file(Path::new(folder).join(&name)));
        }
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        self.sweep();
    }
}
