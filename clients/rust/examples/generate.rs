//! Draws a picture and saves it. The server is that of the environment variable IMAGEGEN_ADDRESS.

use imagegen_client::Client;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let client = Client::builder().connect()?;
    let painter = client.image("sandbox/scene").size(640, 480);
    let result = painter.generate("a harbour at dawn").await?;
    let path = result.image().save("harbour.png")?;
    println!("wrote {}", path.display());
    Ok(())
}
