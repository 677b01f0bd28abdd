//! What a script of the fake harness may hold, and how it is played.

use std::io::{self, BufRead as _, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{self, SigSet, Signal};
use nix::unistd::{self, Pid};

/// Plays a script from its first line to its end; the exit code.
///
/// # Shape
/// One word a line, and what it is about:
/// ```text
/// # a remark
/// expect … , with …    what the test looks for, and how the step is set; not played
/// play FILE            the lines of another script, beside this one
/// hear TEXT            reads lines of the input until one contains the text
/// say JSON             prints it as a line
/// say* N JSON          prints the line N times
/// fill N BEFORE|AFTER  prints a line of BEFORE, N letters, and AFTER
/// part TEXT            prints it without the end of the line
/// bytes HEX            prints these bytes
/// note TEXT            prints a line to the error output
/// note* N TEXT         so often
/// run COMMAND          runs a shell command and goes on
/// leave COMMAND        starts a shell command in a session of its own and goes on
/// has WORD             fails unless an argument of the command line contains the word
/// lacks WORD           fails if one does
/// deaf                 ignores SIGTERM and SIGINT from now on
/// wait                 reads its input to the end
/// stay                 never goes on
/// hush                 closes its output
/// exit CODE
/// die SIGNAL           by KILL, SEGV …
/// forever JSON         prints the line for ever, every 50 ms
/// ```
/// A script that comes to its end waits for the end of its input and exits with code 0.
pub(super) fn play(text: &str, path: &str, args: &[String]) -> Result<u8, String> {
    let mut player = Player { args, open: true };
    if let Some(code) = player.lines(text, Path::new(path))? {
        return Ok(code);
    }
    wait();
    Ok(0)
}

struct Player<'a> {
    args: &'a [String],
    open: bool,
}

impl Player<'_> {
    /// Plays lines; the exit code when they end it.
    fn lines(&mut self, text: &str, path: &Path) -> Result<Option<u8>, String> {
        for (at, line) in text.lines().enumerate() {
            let line = line.trim_start();
            if line.is_empty()
                || line.starts_with('#')
                || line.starts_with("expect ")
                || line.starts_with("with ")
            {
                continue;
            }
            let trouble = |why: String| format!("line {}: {why}", at + 1);
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            if word == "play" {
                let other = path.with_file_name(rest);
                let text = std::fs::read_to_string(&other).map_err(|it| trouble(it.to_string()))?;
                if let Some(code) = self.lines(&text, &other)? {
                    return Ok(Some(code));
                }
                continue;
            }
            if let Some(code) = self.deed(word, rest).map_err(trouble)? {
                return Ok(Some(code));
            }
        }
        Ok(None)
    }

    fn deed(&mut self, word: &str, rest: &str) -> Result<Option<u8>, String> {
        match word {
            "hear" => hear(rest)?,
            "say" => self.print(format!("{rest}\n").as_bytes()),
            "say*" => {
                let (n, line) = counted(rest)?;
                (0..n).for_each(|_| self.print(format!("{line}\n").as_bytes()));
            }
            "fill" => {
                let (n, line) = counted(rest)?;
                let (before, after) = line.split_once('|').ok_or("`fill N BEFORE|AFTER`")?;
                self.print(format!("{before}{}{after}\n", "x".repeat(n)).as_bytes());
            }
            "part" => self.print(rest.as_bytes()),
            "bytes" => {
                let digits: Vec<char> = rest.chars().filter(|c| !c.is_whitespace()).collect();
                let bytes = digits.chunks(2).map(|two| {
                    u8::from_str_radix(&two.iter().collect::<String>(), 16)
                        .map_err(|_| format!("`{two:?}` is no byte"))
                });
                self.print(&bytes.collect::<Result<Vec<u8>, String>>()?);
            }
            "note" => note(rest),
            "note*" => {
                let (n, line) = counted(rest)?;
                (0..n).for_each(|_| note(line));
            }
            "run" => {
                let status = Command::new("sh").args(["-c", rest]).stdin(Stdio::null()).status();
                status.map_err(|error| error.to_string())?;
            }
            "leave" => {
                Command::new("setsid")
                    .args(["sh", "-c", rest])
                    .stdin(Stdio::null())
                    .stdout(Stdio::null())
                    .stderr(Stdio::null())
                    .spawn()
                    .map_err(|error| error.to_string())?;
            }
            "has" | "lacks" => {
                let there = self.args.iter().any(|word| word.contains(rest));
                if there != (word == "has") {
                    return Err(format!("`{word} {rest}` does not hold of {:?}", self.args));
                }
            }
            "deaf" => {
                let mut signals = SigSet::empty();
                signals.add(Signal::SIGTERM);
                signals.add(Signal::SIGINT);
                signals.thread_block().map_err(|error| error.to_string())?;
            }
            "wait" => wait(),
            "stay" => loop {
                thread::sleep(Duration::from_hours(1));
            },
            "hush" => {
                self.open = false;
                unistd::close(1).map_err(|error| error.to_string())?;
            }
            "exit" => return rest.parse().map(Some).map_err(|_| format!("`{rest}` is no code")),
            "die" => {
                let signal = format!("SIG{rest}").parse::<Signal>().map_err(|e| e.to_string())?;
                // The first SIGSEGV only takes the handler of Rust's runtime away.
                for _ in 0..2 {
                    signal::kill(Pid::this(), signal).map_err(|error| error.to_string())?;
                }
                thread::sleep(Duration::from_secs(5));
            }
            "forever" => loop {
                self.print(format!("{rest}\n").as_bytes());
                thread::sleep(Duration::from_millis(50));
            },
            _ => return Err(format!("there is no `{word}`")),
        }
        Ok(None)
    }

    fn print(&mut self, bytes: &[u8]) {
        if self.open {
            let mut out = io::stdout().lock();
            let _ = out.write_all(bytes).and_then(|()| out.flush());
        }
    }
}

fn hear(text: &str) -> Result<(), String> {
    let mut line = String::new();
    let mut input = io::stdin().lock();
    loop {
        line.clear();
        match input.read_line(&mut line) {
            Ok(0) => return Err(format!("the input ended before `{text}` was heard")),
            Ok(_) if line.contains(text) => return Ok(()),
            Ok(_) => {}
            Err(error) => return Err(error.to_string()),
        }
    }
}

fn wait() {
    let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
}

fn note(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

fn counted(rest: &str) -> Result<(usize, &str), String> {
    let (n, line) = rest.split_once(' ').ok_or("a number, then a line")?;
    Ok((n.parse().map_err(|_| format!("`{n}` is no number"))?, line))
}
