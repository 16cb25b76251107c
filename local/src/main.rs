//! `lisa`: the local stack's commands.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use local::{dev, openapi};

#[derive(Debug, Parser)]
#[command(about = "Lisa on one machine")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Dev(dev::Arguments),
    Openapi(openapi::Arguments),
}

fn main() -> ExitCode {
    // Before any thread is started: the child that reads a PDF bounds itself as a process.
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_some_and(|first| first == shared::pdf::SUBCOMMAND) {
        return shared::pdf::child_main(arguments.next().as_deref());
    }
    let outcome = match Arguments::parse().command {
        Command::Dev(arguments) => run_dev(arguments),
        Command::Openapi(arguments) => openapi::run(&arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn run_dev(arguments: dev::Arguments) -> anyhow::Result<()> {
    Box::pin(dev::run(arguments)).await
}
