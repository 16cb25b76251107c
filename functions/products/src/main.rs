fn main() -> std::process::ExitCode {
    shared::function::serve(products::FUNCTION)
}
