//! [`Progress`]: how far a long command is; a bar on a terminal, else a line now and then. Both go to standard error.

use std::{
    io::{IsTerminal as _, Write as _},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Between two lines where there is no terminal.
const BETWEEN_LINES: Duration = Duration::from_secs(5);

/// How far a command is.
#[derive(Debug)]
pub struct Progress {
    what: &'static str,
    bar: Option<ProgressBar>,
    last: Instant,
}

impl Progress {
    /// `what` is a verb: `importing`.
    pub fn start(what: &'static str) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr_with_hz(5));
            let style = "{prefix} {wide_bar} {percent:>3} %  {msg}  {elapsed_precise}, {eta} left";
            if let Ok(style) = ProgressStyle::with_template(style) {
                bar.set_style(style);
            }
            bar.set_prefix(what);
            bar
        });
        Self { what, bar, last: Instant::now() }
    }

    /// `done` of `total`, in whatever unit; `news` says it in words.
    pub fn show(&mut self, done: u64, total: u64, news: impl FnOnce() -> String) {
        if let Some(bar) = &self.bar {
            bar.set_length(total.max(1));
            bar.set_position(done.min(total));
            bar.set_message(news());
            return;
        }
        if self.last.elapsed() >= BETWEEN_LINES {
            self.last = Instant::now();
            let percent = done.saturating_mul(100) / total.max(1);
            // a line that nobody reads is no reason to stop
            let _ = writeln!(std::io::stderr(), "{} {percent} %, {}", self.what, news());
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
