//! `pondmount snapshot`: names for versions.

use super::{In, ask, end, warn_if_by_time};
use crate::cli::control::{TagReport, Travel};
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use clap::{Args, Subcommand};
use serde_json::Value;

/// Name everything as it is now, so that it is found again; list and delete such names
///
/// The name stands for the version wherever one is asked for: @version/NAME, PATH@NAME, --at NAME.
/// In a mount, mkdir @version/NAME does the same, and rmdir takes the name back.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_precedence_over_arg = true
)]
pub struct Snapshot {
    #[command(subcommand)]
    task: Option<Task>,
    /// The name: a letter or _, then letters, digits and . _ -
    #[arg(required = true)]
    name: Option<String>,
    /// What to say of it
    #[arg(short, long, value_name = "TEXT", default_value = "")]
    message: String,
    /// Name this version, not the present
    #[arg(long, value_name = "VERSION")]
    at: Option<String>,
    #[command(flatten)]
    within: In,
}

/// Other actions on tags.
#[derive(Debug, Subcommand)]
enum Task {
    /// List the names, with the versions that they stand for
    List {
        #[command(flatten)]
        within: In,
    },
    /// Take a name back; the version stays
    Delete {
        /// The name
        name: String,
        #[command(flatten)]
        within: In,
    },
}

pub(super) fn run(args: &Snapshot, output: &Output) -> Result<u8, Failure> {
    match &args.task {
        Some(Task::List { within }) => {
            let (mut pond, _) = within.reach(None, true)?;
            let tags: Result<Vec<TagReport>, _> = ask(&mut pond, Travel::Tags);
            for tag in end(pond, tags)? {
                output.row(&tag, text)?;
            }
        }
        Some(Task::Delete { name, within }) => {
            let (mut pond, _) = within.reach(None, false)?;
            let done: Result<Value, _> = ask(&mut pond, Travel::Untag { name: name.clone() });
            end(pond, done)?;
        }
        None => {
            let name = args.name.clone().unwrap_or_default();
            not_a_task(&name)?;
            let (mut pond, _) = args.within.reach(None, false)?;
            let about = Travel::Tag {
                name,
                at: args.at.clone(),
                message: args.message.clone(),
            };
            let tag: Result<TagReport, _> = ask(&mut pond, about);
            warn_if_by_time(&mut pond, &[args.at.as_deref()], output);
            output.row(&end(pond, tag)?, text)?;
        }
    }
    Ok(0)
}

/// Refuses the names of subcommands, which clap takes for names behind an option.
fn not_a_task(name: &str) -> Result<(), Failure> {
    let usage = match name {
        "list" => "pondmount snapshot list",
        "delete" => "pondmount snapshot delete NAME",
        _ => return Ok(()),
    };
    Err(Failure::usage(format!(
        "a snapshot cannot have the name {name:?} here: it is what `snapshot` does"
    ))
    .hinted(format!(
        "`{usage}` takes no -m and no --at; give the snapshot another name"
    )))
}

fn text(tag: &TagReport) -> String {
    let text = format!("{:>8}  {}  {}", tag.version, tag.given, tag.name);
    match tag.message.is_empty() {
        true => text,
        false => format!("{text}  {}", tag.message),
    }
}
