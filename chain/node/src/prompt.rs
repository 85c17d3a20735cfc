//! Passwords: from a file, or typed without being shown.

use std::{
    io::{self, BufRead as _, IsTerminal as _, Write as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use alloy_primitives::Address;
use zeroize::Zeroizing;

use crate::keystore::KEYSTORE_BYTES;

/// A password, wiped when dropped.
pub type Password = Zeroizing<String>;

/// Why there is no password.
#[derive(Debug, thiserror::Error)]
pub enum PromptError {
    /// The password file cannot be read.
    #[error("cannot read the password file {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The password file holds too few lines.
    #[error("the password file {} has no line {line}: {holds}", path.display())]
    NoLine {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What should stand there.
        holds: &'static str,
    },
    /// Typed twice, differently.
    #[error("passwords do not match\n  do: start again and type the same password twice")]
    Mismatch,
    /// There is nobody to ask.
    #[error(
        "no password: standard input is at its end\n  do: name a file that holds the password with --password FILE"
    )]
    NobodyThere,
    /// The terminal failed.
    #[error("cannot read the password: {0}")]
    Input(io::Error),
}

/// Line `index` of a password file, without its line break; `holds` says what should stand there.
///
/// # Errors
/// [`PromptError::Unreadable`], [`PromptError::NoLine`].
pub fn from_file(path: &Path, index: usize, holds: &'static str) -> Result<Password, PromptError> {
    let failed = |source| PromptError::Unreadable { path: path.to_owned(), source };
    let length = std::fs::metadata(path).map_err(failed)?.len();
    if length > KEYSTORE_BYTES {
        return Err(failed(io::Error::other("it is larger than 64 KiB")));
    }
    let text = Zeroizing::new(std::fs::read_to_string(path).map_err(failed)?);
    let line = text.lines().nth(index).map(|line| Zeroizing::new(line.to_owned()));
    // an empty file holds the empty password, as in geth
    let line = line.or_else(|| (index == 0).then(Password::default));
    line.ok_or_else(|| PromptError::NoLine { path: path.to_owned(), line: index + 1, holds })
}

/// The password of an existing key.
///
/// # Errors
/// [`PromptError`].
pub fn existing(file: Option<&Path>, address: Address) -> Result<Password, PromptError> {
    match file {
        Some(path) => from_file(path, 0, "the password"),
        None => {
            say(&format!("Unlocking account {address}\n"));
            ask("Password: ")
        }
    }
}

/// The password of a new key, typed twice unless it comes from a file.
///
/// # Errors
/// [`PromptError`].
pub fn new_one(file: Option<&Path>, line: usize, text: &str) -> Result<Password, PromptError> {
    if let Some(path) = file {
        return from_file(path, line, "the new password");
    }
    say(&format!("{text} Do not forget this password.\n"));
    let password = ask("Password: ")?;
    if ask("Repeat password: ")? == password { Ok(password) } else { Err(PromptError::Mismatch) }
}

/// A line typed by the operator, shown while it is typed.
///
/// # Errors
/// [`PromptError`].
pub fn line(text: &str) -> Result<String, PromptError> {
    say(text);
    let mut line = String::new();
    read_line(&mut line)?;
    Ok(line.trim().to_owned())
}

fn ask(text: &str) -> Result<Password, PromptError> {
    say(text);
    let is_hidden = io::stdin().is_terminal() && echo(false);
    if io::stdin().is_terminal() && !is_hidden {
        say("(warning: what you type will be shown) ");
    }
    let mut line = Password::default();
    let read = read_line(&mut line);
    if is_hidden {
        echo(true);
        say("\n");
    }
    read?;
    let length = line.trim_end_matches(['\r', '\n']).len();
    line.truncate(length);
    Ok(line)
}

fn read_line(line: &mut String) -> Result<(), PromptError> {
    match io::stdin().lock().read_line(line) {
        Ok(0) => Err(PromptError::NobodyThere),
        Ok(_) => Ok(()),
        Err(error) => Err(PromptError::Input(error)),
    }
}

/// Asks the terminal to show what is typed, or not to. False if it did not obey.
fn echo(is_on: bool) -> bool {
    let stty = Command::new("stty")
        .arg(if is_on { "echo" } else { "-echo" })
        .stdin(Stdio::inherit())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    stty.is_ok_and(|status| status.success())
}

fn say(text: &str) {
    let mut error = io::stderr().lock();
    // without standard error there is nobody to read the question
    let _ = error.write_all(text.as_bytes()).and_then(|()| error.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_password_file_are_taken_as_they_are() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("password");
        let check = |text: &str, index, expected: Option<&str>| {
            std::fs::write(&path, text).expect("written");
            let got = from_file(&path, index, "the password").ok();
            assert_eq!(got.as_deref().map(String::as_str), expected, "{text:?}");
        };
        check("one\r\ntwo \n", 0, Some("one"));
        check("one\r\ntwo \n", 1, Some("two "));
        check("one\n", 1, None);
        check("", 0, Some(""));
        let missing = from_file(&folder.path().join("none"), 0, "the password");
        assert!(matches!(missing, Err(PromptError::Unreadable { .. })));
    }
}
