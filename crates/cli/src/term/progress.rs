//! A run as it moves, on standard error: plain lines, and at a terminal a line that refreshes itself.

use std::io::{self, IsTerminal as _, Write as _};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use botpipe_engine::process::StopSwitch;
use botpipe_engine::process::background::Background;
use botpipe_engine::request::{AsksLeave, Notice, Progress, Silent};
use botpipe_kernel::ids::{RunId, TaskId, TurnId, WorkflowName};
use signal_hook::consts::SIGINT;

use super::clock::{moment, span};
use super::leave;
use super::output::one_line;
use super::words;

/// Whether a person wants to watch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Volume {
    Quiet,
    Normal,
}

/// Who watches a run that this command moves.
pub(crate) fn watcher(volume: Volume) -> Box<dyn Progress> {
    match volume {
        Volume::Quiet => Box::new(Silent),
        Volume::Normal => Box::new(Live::begin(io::stderr().is_terminal())),
    }
}

/// Who watches a run that this process moves once it is in the background; `away` says when it is.
pub(crate) fn in_background(
    volume: Volume,
    background: Background,
    stop: &StopSwitch,
    away: &Arc<AtomicBool>,
) -> Box<dyn Progress> {
    let lines = (volume == Volume::Normal).then(|| Live::begin(false));
    if let Some(lines) = &lines {
        lock(&lines.board).held = Some(String::new());
    }
    let background = Mutex::new(Some(background));
    Box::new(Detached { lines, background, stop: stop.clone(), away: away.clone() })
}

/// On its way into the background: lines are held back until they no longer go to the terminal.
struct Detached {
    lines: Option<Live>,
    background: Mutex<Option<Background>>,
    stop: StopSwitch,
    away: Arc<AtomicBool>,
}

impl Detached {
    fn owns(&self, whose: (&RunId, &TaskId, &WorkflowName), folder: &Path) {
        let mut background = self.background.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(background) = background.take() else { return };
        self.away.store(true, Ordering::Relaxed);
        if background.own(whose, folder).is_err() {
            // Whoever waited was ended, as by Ctrl-C: this is not wanted.
            self.stop.request(SIGINT);
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let at = moment(u64::try_from(now.as_millis()).unwrap_or(0));
        write(&format!("{at} UTC: process {} owns run {}\n", std::process::id(), whose.0));
        if let Some(lines) = &self.lines {
            lock(&lines.board).release();
        }
    }
}

impl Progress for Detached {
    fn notice(&self, notice: &Notice<'_>) {
        match (notice, &self.lines) {
            (Notice::Owned { run, task, workflow, folder }, _) => {
                self.owns((run, task, workflow), folder);
            }
            (_, Some(lines)) => lines.notice(notice),
            (_, None) => {}
        }
    }
}

/// The lines of a run that moves now.
struct Live {
    board: Arc<Mutex<Board>>,
    /// Held by the turn that asks the person: one at a time.
    asking: Mutex<()>,
    /// Refreshes the status line; only at a terminal.
    ticker: Option<(Sender<()>, JoinHandle<()>)>,
}

/// What is on the screen.
struct Board {
    start: Instant,
    terminal: bool,
    /// Where the run stands; empty when nothing is to be shown below the lines.
    standing: String,
    /// The last line an agent printed.
    activity: String,
    /// The turn whose output was last shown as a line of its own, and when.
    shown: Option<(TurnId, Instant)>,
    /// Lines that wait for where they shall go.
    held: Option<String>,
}

impl Live {
    fn begin(terminal: bool) -> Self {
        let board = Arc::new(Mutex::new(Board {
            start: Instant::now(),
            terminal,
            standing: String::new(),
            activity: String::new(),
            shown: None,
            held: None,
        }));
        let ticker = if terminal { tick(&board) } else { None };
        Self { board, asking: Mutex::new(()), ticker }
    }
}

/// Refreshes the elapsed time. Without a thread for it the line is refreshed only by events.
fn tick(board: &Arc<Mutex<Board>>) -> Option<(Sender<()>, JoinHandle<()>)> {
    let (sender, done) = channel::<()>();
    let board = Arc::clone(board);
    let thread = thread::Builder::new().name("status".to_owned()).spawn(move || {
        while done.recv_timeout(REFRESH) == Err(RecvTimeoutError::Timeout) {
            lock(&board).refresh();
        }
    });
    Some((sender, thread.ok()?))
}

impl Drop for Live {
    fn drop(&mut self) {
        if let Some((sender, thread)) = self.ticker.take() {
            drop(sender);
            // It holds nothing that could be lost.
            let _ = thread.join();
        }
        lock(&self.board).clear();
    }
}

impl Progress for Live {
    fn notice(&self, notice: &Notice<'_>) {
        lock(&self.board).notice("", notice);
    }

    fn ask_leave(&self, asks: &AsksLeave<'_>, stop: &StopSwitch) -> Option<String> {
        if !lock(&self.board).terminal || !leave::is_somebody_there() {
            return None;
        }
        let _asking = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
        if stop.requested().is_some() {
            return None;
        }
        lock(&self.board).hold();
        leave::forget_typed();
        write(&leave::question(asks));
        let said = leave::typed(stop);
        lock(&self.board).release();
        said
    }
}

impl Board {
    /// What happened, in a run below this one if it is named.
    fn notice(&mut self, below: &str, notice: &Notice<'_>) {
        let board = self;
        match notice {
            Notice::Child { branch, notice } => {
                board.notice(&format!("{below}{branch}: "), notice);
            }
            Notice::Happened { event, run } if !below.is_empty() => {
                if let Some(words) = words::of(event, run) {
                    board.line(&format!("{below}{words}"));
                }
                board.refresh();
            }
            Notice::Happened { event, run } => {
                if let Some(words) = words::of(event, run) {
                    board.line(&words);
                }
                board.standing = words::standing(run).unwrap_or_default();
                board.refresh();
            }
            Notice::Durable { .. } | Notice::Owned { .. } => {}
            Notice::Activity { turn, line } => board.activity(*turn, line),
            Notice::Note { text } if board.held.is_some() && !board.terminal => {
                write(&format!("note: {below}{}\n", one_line(text, 400)));
            }
            Notice::Note { text } => {
                board.line(&format!("{below}note: {}", one_line(text, 400)));
            }
        }
    }

    /// A line that stays.
    fn line(&mut self, words: &str) {
        self.clear();
        self.activity.clear();
        let line = format!("[{:>6}] {words}\n", span(self.start.elapsed()));
        match &mut self.held {
            Some(held) => held.push_str(&line),
            None => write(&line),
        }
    }

    /// Keeps lines back, and the status line away, while a person is asked.
    fn hold(&mut self) {
        self.clear();
        self.held = Some(String::new());
    }

    fn release(&mut self) {
        write(&self.held.take().unwrap_or_default());
    }

    /// What an agent prints: on the status line, or as a line now and then where there is none.
    fn activity(&mut self, turn: Option<&TurnId>, line: &str) {
        let words = one_line(line, 160);
        if words.is_empty() {
            return;
        }
        if self.terminal {
            self.activity = words;
            self.refresh();
            return;
        }
        let due = match (&self.shown, turn) {
            (Some((shown, at)), Some(turn)) => shown != turn || at.elapsed() >= QUIET_TIME,
            _ => true,
        };
        if due {
            self.shown = turn.map(|turn| (turn.clone(), Instant::now()));
            write(&format!("[{:>6}]   | {words}\n", span(self.start.elapsed())));
        }
    }

    fn refresh(&self) {
        if !self.terminal || self.standing.is_empty() || self.held.is_some() {
            return;
        }
        let mut status = self.standing.clone();
        if !self.activity.is_empty() {
            status.push_str(" | ");
            status.push_str(&self.activity);
        }
        let width = columns().saturating_sub(CLOCK_WIDTH + 1);
        let elapsed = span(self.start.elapsed());
        write(&format!("\r\x1b[2K[{elapsed:>6}] {}", one_line(&status, width)));
    }

    fn clear(&self) {
        if self.terminal && self.held.is_none() {
            write("\r\x1b[2K");
        }
    }
}

fn write(text: &str) {
    let mut err = io::stderr().lock();
    // A terminal that is gone ends us by SIGHUP; nobody else needs to read this.
    let _ = err.write_all(text.as_bytes()).and_then(|()| err.flush());
}

fn lock(board: &Mutex<Board>) -> MutexGuard<'_, Board> {
    board.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The terminal's width in characters.
fn columns() -> usize {
    let size = rustix::termios::tcgetwinsize(io::stderr());
    size.ok().map(|size| usize::from(size.ws_col)).filter(|width| *width > 0).unwrap_or(80)
}

/// Columns of the elapsed time in front of a line.
const CLOCK_WIDTH: usize = 9;
/// How often the elapsed time moves.
const REFRESH: Duration = Duration::from_millis(500);
/// How long an agent's further output is passed over where each of its lines would stay.
const QUIET_TIME: Duration = Duration::from_secs(2);
