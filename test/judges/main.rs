//! `judge KIND FILE…`, started by `./test/judge`: prints each failure, and each measure, in a line and then `passed/total`.
//!
//! Ends with 0 if all passed, 1 if some failed, 2 if a file cannot be read or is of another kind.

#[path = "mod.rs"]
mod judge;

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

fn main() -> ExitCode {
    let Some(Question { kind, files, url, differences }) = question() else {
        say(&format!("usage: test/judge KIND FILE…, KIND one of {}", judge::KINDS.join(", ")));
        say("       test/judge rpc FILE… --url URL [--differences FILE]");
        say("       test/judge exchanges FOLDER… --url URL");
        return ExitCode::from(2);
    };
    let (mut passed, mut total, mut is_readable) = (0, 0, true);
    for file in &files {
        let path = Path::new(file);
        let verdicts = match (kind.as_str(), &url) {
            ("rpc", Some(url)) => {
                judge::rpc::judge(path, url, differences.as_deref(), &mut |_, _| {})
            }
            ("exchanges", Some(url)) => judge::exchanges::judge(path, url, &mut |_, _| {}),
            ("rpc" | "exchanges", None) => Err("--url URL says which node to ask".to_owned()),
            _ => judge::judge(&kind, path),
        };
        let verdicts = match verdicts {
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

/// The command line.
struct Question {
    kind: String,
    files: Vec<String>,
    url: Option<String>,
    differences: Option<PathBuf>,
}

/// Reads the command line; none if it names no kind or no file.
fn question() -> Option<Question> {
    let mut arguments = std::env::args().skip(1);
    let kind = arguments.next()?;
    let mut asked = Question { kind, files: Vec::new(), url: None, differences: None };
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--url" => asked.url = Some(arguments.next()?),
            "--differences" => asked.differences = Some(arguments.next()?.into()),
            _ => asked.files.push(argument),
        }
    }
    (!asked.files.is_empty()).then_some(asked)
}

fn say(line: &str) {
    // nobody is left to tell if standard output is gone
    let _ = writeln!(std::io::stdout(), "{line}");
}
