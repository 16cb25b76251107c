fn main() -> std::process::ExitCode {
    shared::function::serve(customer::FUNCTION)
}
