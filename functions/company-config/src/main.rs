fn main() -> std::process::ExitCode {
    shared::function::serve(company_config::FUNCTION)
}
