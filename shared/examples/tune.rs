use shared::{llm::*, text::Language};
use uuid::Uuid;
fn main() {
    let mut settings = shared::settings::Settings::new(std::env::vars().filter(|(n,_)| n.starts_with("EMBEDDING") || n.starts_with("E5")).collect());
    let embedder = shared::embeddings::Embedder::read(&mut settings);
    let sim = std::env::var("SIM").is_ok();
    let mut args = std::env::args().skip(1);
    let dump = args.next().unwrap();
    let rt = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for line in std::fs::read_to_string(dump).unwrap().lines() {
        let v: serde_json::Value = serde_json::from_str(line).unwrap();
        let passages: Vec<Passage> = v["ps"].as_array().unwrap().iter().enumerate().map(|(i, p)| Passage {
            chunk_id: Uuid::from_u128(i as u128), document_id: Uuid::nil(), filename: p["f"].as_str().unwrap().into(), title: None,
            page_start: p["p"].as_i64().unwrap() as i32, page_end: p["p"].as_i64().unwrap() as i32, chunk_indexes: 0..=0,
            text: p["t"].as_str().unwrap().into(), score: p["s"].as_f64().unwrap() }).collect();
        let history: Vec<Turn> = v["h"].as_array().unwrap().iter().map(|t| Turn { role: if t[0] == true { Role::User } else { Role::Assistant }, text: t[1].as_str().unwrap().into() }).collect();
        let q = GroundedQuestion { text: v["q"].as_str().unwrap(), standalone: v["sa"].as_str().unwrap(), history: &history,
            language: match v["l"].as_str().unwrap() { "fr" => Language::French, "en" => Language::English, _ => Language::Other },
            instructions: None, assistant: "Lisa", company: "x", style: AnswerStyle::SourceNumbers, passages: &passages,
            deadline: tokio::time::Instant::now() + std::time::Duration::from_secs(25) };
        let a = rt.block_on(shared::retrieval::answer(&Provider::Extractive, &embedder, &q, None)).outcome.unwrap();
        if sim {
            let c = quote_candidates(&q);
            let texts: Vec<_> = c.iter().map(|c| c.text.clone()).collect();
            if let Some(s) = rt.block_on(embedder.similarities(q.standalone, &texts)).unwrap() {
                let mut v: Vec<_> = s.iter().zip(&texts).collect();
                v.sort_by(|a, b| b.0.total_cmp(a.0));
                eprintln!("{} | {:?}", q.standalone, v.iter().take(2).map(|(s, t)| format!("{s:.3} {t}")).collect::<Vec<_>>());
            }
        }
        let cites: Vec<_> = a.sources.iter().map(|s| serde_json::json!([passages[s.passage].filename, passages[s.passage].page_start])).collect();
        println!("{}", serde_json::json!({"q": v["q"], "sa": v["sa"], "a": a.answer, "c": cites}));
    }
}
