//! What the README shows compiles: its snippets are parts of the samples, or of this file.

use std::time::Duration;

use serde_json::json;

use crate::Client;

type Done = Result<(), Box<dyn std::error::Error>>;

#[allow(dead_code, reason = "compiled, not run")]
async fn the_model_object(client: Client) -> Done {
    let params = json!({"openai": {"moderation": "low"}});
    let painter = client.image("openai/gpt-image-2").quality("high").with_params(params);
    let result = painter.generate("a harbour at dawn").count(2).seed(7).timeout(Duration::from_secs(300)).await?;
    for made in &result.images {
        made.image.save(format!("harbour-{}", made.index))?;
    }
    for warning in &result.warnings {
        println!("{}: {}", warning.field, warning.message);
    }
    Ok(())
}

#[allow(dead_code, reason = "compiled, not run")]
async fn connections_that_break(client: Client) -> Done {
    let stream = client.image("sandbox/scene").stream("a harbour").request_id("order-17").await?;
    drop(stream);
    // Left running; another process may do this:
    let result = client.resume_request("order-17").await?.result().await?;
    drop(result);
    Ok(())
}

/// Each snippet of the README stands, line by line, in code that is compiled.
#[test]
fn snippets() {
    let lines = |text: &str| text.lines().map(|line| line.trim().to_owned()).collect::<Vec<_>>().join("\n");
    let compiled = [
        lines(include_str!("../../examples/generate.rs")),
        lines(include_str!("../../examples/stream.rs")),
        lines(include_str!("../../examples/edit.rs")),
        lines(include_str!("readme.rs")),
    ];
    let readme = include_str!("../../README.md");
    let snippets: Vec<_> = readme.split("```rust\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert_eq!(snippets.len(), 6);
    for snippet in snippets {
        let snippet = lines(snippet.trim());
        assert!(compiled.iter().any(|code| code.contains(&snippet)), "not compiled anywhere:\n{snippet}");
    }
}
