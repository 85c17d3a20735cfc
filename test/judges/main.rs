//! `judge KIND FILE…`, started by `./test/judge`: prints each failure, and each measure, in a line and then `passed/total`.
//!
//! Ends with 0 if all passed, 1 if some failed, 2 if a file cannot be read or is of another kind.

#[path = "mod.rs"]
mod judge;

use std::{io::Write as _, path::Path, process::ExitCode};

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (kind, files) = (arguments.next().unwrap_or_default(), arguments.collect::<Vec<_>>());
    if files.is_empty() {
        say(&format!("usage: test/judge KIND FILE…, KIND one of {}", judge::KINDS.join(", ")));
        return ExitCode::from(2);
    }
    let (mut passed, mut total, mut is_readable) = (0, 0, true);
    for file in &files {
        let verdicts = match judge::judge(&kind, Path::new(file)) {
            Ok(verdicts) => verdicts,
            Err(why) => {
                say(&format!("error: {why}"));
                is_readable = false;
                continue;
            }
        };
        let mut here = 0;
        for (name, verdict) in &verdicts {
            match verdict {
                Ok(()) => {
                    // a measure is worth reading when it reaches its goal, too
                    if kind == "keywords" {
                        say(&format!("{file}: {name}"));
                    }
                    here += 1;
                }
                Err(why) => say(&format!("FAIL {file}: {name}: {why}")),
            }
        }
        if files.len() > 1 {
            say(&format!("{file}: {here}/{}", verdicts.len()));
        }
        passed += here;
        total += verdicts.len();
    }
    say(&format!("{passed}/{total}"));
    match (is_readable, passed == total) {
        (false, _) => ExitCode::from(2),
        (true, true) => ExitCode::SUCCESS,
        (true, false) => ExitCode::from(1),
    }
}

fn say(line: &str) {
    // nobody is left to tell if standard output is gone
    let _ = writeln!(std::io::stdout(), "{line}");
}
