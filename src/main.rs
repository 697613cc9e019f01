//! The `pondmount` program. The command line is in [`pondmount::cli`], everything else in the
//! library.

use std::process::ExitCode;

fn main() -> ExitCode {
    pondmount::cli::run(std::env::args_os().collect())
}
