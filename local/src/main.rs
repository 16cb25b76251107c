//! The `lisa` program: the commands of the local stack.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use local::{
    adopt, bench, bench_lists, bench_load, bench_pdf, bench_retrieval, bench_webhook, collection, corpus, dev, doctor,
    embedding_mean, eval, fuzz, histories, import_subscriptions, new_function, openapi, operator, phone, settings,
    stripe_event, traces,
};

#[derive(Debug, Parser)]
#[command(about = "Runs and measures Lisa on one machine, and operates its databases")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Dev(dev::Arguments),
    Doctor(doctor::Arguments),
    Phone(phone::Arguments),
    Openapi(openapi::Arguments),
    Collection(collection::Arguments),
    Settings(settings::Arguments),
    Traces(traces::Arguments),
    Eval(eval::Arguments),
    EmbeddingMean(embedding_mean::Arguments),
    Corpus(corpus::Arguments),
    BenchLambda(bench::Arguments),
    BenchLists(bench_lists::Arguments),
    BenchLoad(bench_load::Arguments),
    BenchPdf(bench_pdf::Arguments),
    BenchRetrieval(bench_retrieval::Arguments),
    BenchWebhook(bench_webhook::Arguments),
    FuzzTargets(fuzz::Arguments),
    Histories(histories::Arguments),
    NewFunction(new_function::Arguments),
    /// Verifies the hash chains of the audit log.
    AuditVerify(operator::ConnectionArguments),
    /// Seals the tenants' and data pods' keys and the webhook endpoints' secrets again with the first of SEALING_KEYS.
    RotateKeys(operator::ConnectionArguments),
    /// Embeds the tenants' chunks again with the configured embedding model.
    ReEmbed(operator::ReEmbedArguments),
    /// Marks an account's address as confirmed.
    ConfirmAccount(operator::ConfirmArguments),
    /// Makes an account a global administrator, or takes the role away.
    Admin(operator::AdminArguments),
    Adopt(adopt::Arguments),
    StripeEvent(stripe_event::Arguments),
    ImportSubscriptions(import_subscriptions::Arguments),
}

fn main() -> ExitCode {
    // Before any thread is started: the PDF extraction child sets resource limits for its whole process.
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_some_and(|first| first == shared::pdf::SUBCOMMAND) {
        return shared::pdf::child_main(arguments.next().as_deref());
    }
    let outcome = match Arguments::parse().command {
        Command::Dev(arguments) => run_dev(arguments),
        Command::Doctor(arguments) => run_doctor(arguments),
        Command::Phone(arguments) => run_phone(arguments),
        Command::Openapi(arguments) => openapi::run(&arguments),
        Command::Collection(arguments) => collection::run(&arguments),
        Command::Settings(arguments) => run_settings(&arguments),
        Command::Traces(arguments) => run_traces(&arguments),
        Command::Eval(arguments) => run_eval(arguments),
        Command::EmbeddingMean(arguments) => embedding_mean::run(&arguments),
        Command::Corpus(arguments) => run_corpus(arguments),
        Command::BenchLambda(arguments) => run_bench(arguments),
        Command::BenchLists(arguments) => run_bench_lists(arguments),
        Command::BenchLoad(arguments) => run_bench_load(arguments),
        Command::BenchPdf(arguments) => run_bench_pdf(arguments),
        Command::BenchRetrieval(arguments) => run_bench_retrieval(arguments),
        Command::BenchWebhook(arguments) => run_bench_webhook(arguments),
        Command::FuzzTargets(arguments) => fuzz::run(&arguments),
        Command::Histories(arguments) => run_histories(arguments),
        Command::NewFunction(arguments) => new_function::run(arguments),
        Command::AuditVerify(connection) => audit_verify(connection),
        Command::RotateKeys(connection) => rotate_keys(connection),
        Command::ReEmbed(arguments) => re_embed(arguments),
        Command::ConfirmAccount(arguments) => confirm_account(arguments),
        Command::Admin(arguments) => change_administrator(arguments),
        Command::Adopt(arguments) => run_adopt(arguments),
        Command::StripeEvent(arguments) => stripe_event(arguments),
        Command::ImportSubscriptions(arguments) => import_subscriptions(arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run_dev(arguments: dev::Arguments) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let outcome = runtime.block_on(dev::run(arguments));
    // Work on blocking threads cannot be cancelled. The process ends without waiting for it.
    runtime.shutdown_background();
    outcome
}

#[tokio::main]
async fn run_doctor(arguments: doctor::Arguments) -> anyhow::Result<()> {
    Box::pin(doctor::run(arguments)).await
}

#[tokio::main]
async fn run_phone(arguments: phone::Arguments) -> anyhow::Result<()> {
    phone::run(arguments).await
}

// Reading the functions' settings creates clients that need a runtime.
#[tokio::main]
async fn run_settings(arguments: &settings::Arguments) -> anyhow::Result<()> {
    settings::run(arguments)
}

#[tokio::main]
async fn run_traces(arguments: &traces::Arguments) -> anyhow::Result<()> {
    traces::run(arguments).await
}

#[tokio::main]
async fn run_eval(arguments: eval::Arguments) -> anyhow::Result<()> {
    Box::pin(eval::run(arguments)).await
}

#[tokio::main]
async fn run_corpus(arguments: corpus::Arguments) -> anyhow::Result<()> {
    Box::pin(corpus::run(arguments)).await
}

#[tokio::main]
async fn run_bench(arguments: bench::Arguments) -> anyhow::Result<()> {
    Box::pin(bench::run(arguments)).await
}

#[tokio::main]
async fn run_bench_lists(arguments: bench_lists::Arguments) -> anyhow::Result<()> {
    Box::pin(bench_lists::run(arguments)).await
}

#[tokio::main]
async fn run_bench_load(arguments: bench_load::Arguments) -> anyhow::Result<()> {
    Box::pin(bench_load::run(arguments)).await
}

#[tokio::main]
async fn audit_verify(connection: operator::ConnectionArguments) -> anyhow::Result<()> {
    operator::audit_verify(connection).await
}

#[tokio::main]
async fn rotate_keys(connection: operator::ConnectionArguments) -> anyhow::Result<()> {
    operator::rotate_keys(connection).await
}

#[tokio::main]
async fn re_embed(arguments: operator::ReEmbedArguments) -> anyhow::Result<()> {
    Box::pin(operator::re_embed(arguments)).await
}

#[tokio::main]
async fn change_administrator(arguments: operator::AdminArguments) -> anyhow::Result<()> {
    operator::change_administrator(arguments).await
}

#[tokio::main]
async fn run_adopt(arguments: adopt::Arguments) -> anyhow::Result<()> {
    Box::pin(adopt::run(arguments)).await
}

#[tokio::main]
async fn confirm_account(arguments: operator::ConfirmArguments) -> anyhow::Result<()> {
    operator::confirm_account(arguments).await
}

#[tokio::main]
async fn stripe_event(arguments: stripe_event::Arguments) -> anyhow::Result<()> {
    stripe_event::run(arguments).await
}

#[tokio::main]
async fn import_subscriptions(arguments: import_subscriptions::Arguments) -> anyhow::Result<()> {
    Box::pin(import_subscriptions::run(arguments)).await
}

#[tokio::main]
async fn run_histories(arguments: histories::Arguments) -> anyhow::Result<()> {
    Box::pin(histories::run(arguments)).await
}

#[tokio::main]
async fn run_bench_pdf(arguments: bench_pdf::Arguments) -> anyhow::Result<()> {
    bench_pdf::run(arguments).await
}

#[tokio::main]
async fn run_bench_retrieval(arguments: bench_retrieval::Arguments) -> anyhow::Result<()> {
    Box::pin(bench_retrieval::run(arguments)).await
}

#[tokio::main]
async fn run_bench_webhook(arguments: bench_webhook::Arguments) -> anyhow::Result<()> {
    Box::pin(bench_webhook::run(arguments)).await
}
