//! Watches a picture develop: saves each preview as it comes, and the finished picture.

use imagegen_client::{Client, Event};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let client = Client::builder().connect()?;
    let painter = client.image("sandbox/scene").size(640, 480);
    let mut stream = painter.stream("a harbour at dawn").preview_count(2).await?;
    while let Some(event) = stream.next().await {
        match event? {
            Event::Started(started) => println!("{} draws {}", started.model, started.generation_id),
            Event::Preview(preview) => {
                let path = preview.image.save(format!("preview-{}.png", preview.number))?;
                println!("wrote {}", path.display());
            }
            _ => {} // progress, finished and failed images: all of them are in the result too
        }
    }
    let result = stream.result().await?;
    let path = result.image().save("harbour.png")?;
    println!("wrote {}", path.display());
    Ok(())
}
