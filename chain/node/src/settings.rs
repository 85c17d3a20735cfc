//! `--config FILE`: flags from a TOML file, below the environment and the command line.
//!
//! ```toml
//! datadir = "/srv/msnet"
//! network = "dev"
//! [http]                       # tables join their names with a dot: http.port
//! port = 8545
//! vhosts = ["node.example"]
//! ```
//!
//! The names are those of the flags. What the file says becomes the flags' default, so that clap itself decides who
//! comes first; a name that no flag has is an error, with the nearest one there is.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

use clap::{
    Arg, ArgAction, ArgMatches, Command,
    error::{ContextKind, ContextValue, ErrorKind},
    parser::ValueSource,
};
use toml::{Table, Value};

use crate::geth_flags;

/// Largest settings file; flags are few.
const CONFIG_BYTES: u64 = 1024 * 1024;
/// Name of the flag that names the file.
const CONFIG_FLAG: &str = "config";

/// Why a settings file is refused.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// It cannot be read.
    #[error("cannot read the settings in {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// Only a node takes settings.
    #[error(
        "msnet {0} takes no --config\n  do: give its flags on the command line or in the environment"
    )]
    OtherVerb(String),
    /// It is not TOML.
    #[error("{} is not TOML: {reason}", path.display())]
    NotToml {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        reason: String,
    },
    /// No flag has this name.
    #[error("{} sets {name:?}, which is no flag{}", path.display(), hint(nearest.as_deref()))]
    Unknown {
        /// The file.
        path: PathBuf,
        /// The name.
        name: String,
        /// The flag that was meant, perhaps.
        nearest: Option<String>,
    },
    /// The flag is geth's and means nothing here.
    #[error("--{name} is a flag of geth that msnet does not have\n  do:  {advice}")]
    Geths {
        /// The flag.
        name: String,
        /// What to do instead.
        advice: &'static str,
    },
    /// The flag takes another kind of value.
    #[error("{} sets {name} to {value}, which it cannot be\n  do: write it as on the command line: a text, a number, true or false, or a list", path.display())]
    WrongKind {
        /// The file.
        path: PathBuf,
        /// The flag.
        name: String,
        /// What stands there.
        value: String,
    },
}

fn hint(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |name| format!("\n  do: did you mean {name}?"))
}

/// Parses a command line. If it runs the subcommand `verb` and names a settings file, that file's values stand in for
/// flags that are given nowhere else. What clap refuses ends the process with clap's message.
///
/// # Errors
/// [`SettingsError`] if the file cannot be read or holds what no flag takes.
pub fn matches(
    command: Command,
    verb: &str,
    arguments: impl IntoIterator<Item = OsString>,
) -> Result<ArgMatches, SettingsError> {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let parse = |command: Command| match command.try_get_matches_from(&arguments) {
        Ok(found) => Ok(found),
        Err(error) => Err(geths(&error).unwrap_or_else(|| error.exit())),
    };
    let first = parse(command.clone())?;
    let Some((name, given)) = first.subcommand() else { return Ok(first) };
    let Ok(Some(path)) = given.try_get_one::<PathBuf>(CONFIG_FLAG) else { return Ok(first) };
    if name != verb {
        // the environment may name the node's file while other commands run
        return match given.value_source(CONFIG_FLAG) {
            Some(ValueSource::CommandLine) => Err(SettingsError::OtherVerb(name.to_owned())),
            _ => Ok(first),
        };
    }
    let values = read(path)?;
    // only a built command knows its conflicts, and only one that is not built can be changed
    let mut built = command.clone();
    built.build();
    let Some(sub) = built.find_subcommand(name) else { return Ok(first) };
    let defaults = defaults(sub, given, path, values)?;
    let command = command.mut_subcommand(name, |sub| {
        defaults.into_iter().fold(sub, |sub, (id, values)| {
            // clap keeps defaults for ever, and this happens once a run
            let values = values.into_iter().map(|text| &*text.leak());
            sub.mut_arg(id, |arg| arg.default_values(values))
        })
    });
    parse(command)
}

/// The flag that clap does not know, if it is one of geth's.
fn geths(error: &clap::Error) -> Option<SettingsError> {
    if error.kind() != ErrorKind::UnknownArgument {
        return None;
    }
    let Some(ContextValue::String(flag)) = error.get(ContextKind::InvalidArg) else { return None };
    let name = flag.trim_start_matches('-').split('=').next().unwrap_or_default();
    let advice = geth_flags::advice(name)?;
    Some(SettingsError::Geths { name: name.to_owned(), advice })
}

/// All values of the file, tables flattened.
fn read(path: &PathBuf) -> Result<Vec<(String, Value)>, SettingsError> {
    let failed = |source| SettingsError::Unreadable { path: path.clone(), source };
    if fs::metadata(path).map_err(failed)?.len() > CONFIG_BYTES {
        return Err(failed(std::io::Error::other("it is larger than 1 MiB")));
    }
    let text = fs::read_to_string(path).map_err(failed)?;
    let table: Table = text.parse().map_err(|error: toml::de::Error| {
        // without the quoted line: it may be a secret that was put there by mistake
        let line = error.span().map_or(0, |span| text[..span.start].lines().count());
        let reason = format!("{}, near line {line}", error.message());
        SettingsError::NotToml { path: path.clone(), reason }
    })?;
    let mut values = Vec::new();
    flatten(String::new(), table, &mut values);
    Ok(values)
}

fn flatten(prefix: String, table: Table, into: &mut Vec<(String, Value)>) {
    for (key, value) in table {
        let name = if prefix.is_empty() { key } else { format!("{prefix}.{key}") };
        match value {
            Value::Table(table) => flatten(name, table, into),
            value => into.push((name, value)),
        }
    }
}

/// The arguments that the file speaks for, each with its values: not those that are given elsewhere, nor those that
/// exclude one that is.
fn defaults(
    command: &Command,
    given: &ArgMatches,
    path: &Path,
    values: Vec<(String, Value)>,
) -> Result<Vec<(String, Vec<String>)>, SettingsError> {
    let is_given = |arg: &Arg| {
        let source = given.value_source(arg.get_id().as_str());
        matches!(source, Some(ValueSource::CommandLine | ValueSource::EnvVariable))
    };
    let mut found = Vec::new();
    for (name, value) in values {
        let arg = command
            .get_arguments()
            .find(|arg| arg.get_long() == Some(&name) && name != CONFIG_FLAG)
            .ok_or_else(|| SettingsError::Unknown {
                path: path.to_owned(),
                nearest: nearest(command, &name),
                name: name.clone(),
            })?;
        let texts = texts(arg, &value).ok_or_else(|| SettingsError::WrongKind {
            path: path.to_owned(),
            name,
            value: value.type_str().to_owned(),
        })?;
        let rivals = command.get_arguments().filter(|other| {
            command.get_arg_conflicts_with(arg).contains(other)
                || command.get_arg_conflicts_with(other).contains(&arg)
        });
        if !is_given(arg) && !rivals.into_iter().any(is_given) {
            found.push((arg.get_id().to_string(), texts));
        }
    }
    Ok(found)
}

fn texts(arg: &Arg, value: &Value) -> Option<Vec<String>> {
    let one = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Integer(number) => Some(number.to_string()),
        Value::Boolean(is) => Some(is.to_string()),
        _ => None,
    };
    match (value, arg.get_action()) {
        (Value::Array(list), ArgAction::Append) => list.iter().map(one).collect(),
        (Value::Boolean(_), ArgAction::SetTrue) => one(value).map(|text| vec![text]),
        (_, ArgAction::SetTrue) => None,
        _ => one(value).map(|text| vec![text]),
    }
}

/// The flag whose name takes the fewest edits, if they are few.
fn nearest(command: &Command, name: &str) -> Option<String> {
    let flags = command.get_arguments().filter_map(Arg::get_long);
    let near = flags.map(|flag| (edits(flag, name), flag)).min()?;
    (near.0 <= 1 + name.len() / 3).then(|| near.1.to_owned())
}

/// Letters to insert, drop or change (Levenshtein).
fn edits(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (index, letter) in one.chars().enumerate() {
        let mut next = vec![index + 1];
        for (place, &against) in other.iter().enumerate() {
            let changed = row[place] + usize::from(letter != against);
            next.push(changed.min(row[place + 1] + 1).min(next[place] + 1));
        }
        row = next;
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use clap::{Args, FromArgMatches as _};

    use super::*;
    use crate::args::NodeArgs;

    fn command() -> Command {
        let config = Arg::new("config")
            .long("config")
            .global(true)
            .value_parser(clap::value_parser!(PathBuf));
        let node = NodeArgs::augment_args(Command::new("node"));
        Command::new("msnet").arg(config).subcommand(node)
    }

    fn parse(toml: &str, more: &[&str]) -> Result<NodeArgs, String> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("msnet.toml");
        fs::write(&path, toml).expect("written");
        let arguments = ["msnet", "node", "--config", path.to_str().expect("UTF-8")];
        let arguments = arguments.iter().chain(more).map(OsString::from);
        let matches = matches(command(), "node", arguments).map_err(|error| error.to_string())?;
        let (_, node) = matches.subcommand().expect("node");
        NodeArgs::from_arg_matches(node).map_err(|error| error.to_string())
    }

    #[test]
    fn the_command_line_comes_before_the_file() {
        let toml = "network = \"dev\"\ndatadir = \"here\"\nmine = true\n[miner]\ngaslimit = 7\n";
        let args = parse(toml, &["--datadir", "there"]).expect("known names");
        assert_eq!(args.datadir, Some("there".into()));
        assert_eq!((args.network.as_deref(), args.mine), (Some("dev"), true));
        assert_eq!(args.miner.gas_limit, Some(7));
    }

    #[test]
    fn what_excludes_a_given_flag_is_not_taken_from_the_file() {
        let args = parse("network = \"dev\"\n", &["--genesis", "g.json"]).expect("no conflict");
        assert_eq!((args.network, args.genesis), (None, Some("g.json".into())));
    }

    #[test]
    fn a_flag_of_geths_says_what_to_do() {
        for flag in ["--authrpc.port=8551", "--authrpc.port"] {
            let arguments = ["msnet", "node", flag].map(OsString::from);
            let error = matches(command(), "node", arguments).expect_err("no such flag here");
            let text = error.to_string();
            assert!(text.contains("--authrpc.port is a flag of geth"), "{text}");
            assert!(text.contains("do:  leave it out"), "{text}");
        }
    }

    #[test]
    fn unknown_names_and_kinds_are_named() {
        let check = |toml: &str, word: &str| {
            let error = parse(toml, &[]).expect_err(toml);
            assert!(error.contains("msnet.toml") && error.contains(word), "{error}");
        };
        check("datadirr = \"x\"\n", "did you mean datadir?");
        check("[miner]\ngaslimt = 7\n", "did you mean miner.gaslimit?");
        check("config = \"other\"\n", "\"config\", which is no flag");
        check("mine = 1\n", "sets mine to integer");
        check("datadir = 1.5\n", "sets datadir to float");
        check("datadir = \n", "near line 1");
    }

    #[test]
    fn other_commands_take_no_file() {
        let command = command().subcommand(Command::new("db"));
        let arguments = ["msnet", "db", "--config", "x.toml"].map(OsString::from);
        let error = matches(command, "node", arguments).expect_err("not a node");
        assert!(error.to_string().starts_with("msnet db takes no --config"), "{error}");
    }

    #[test]
    fn edits_are_counted() {
        assert_eq!(edits("datadir", "datadri"), 2);
        assert_eq!(edits("", "abc"), 3);
        assert_eq!(edits("kitten", "sitting"), 3);
    }
}
