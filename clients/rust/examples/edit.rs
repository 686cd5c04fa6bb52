//! Paints the upper half of a picture anew, and shows what an error tells.

use imagegen_client::{Client, Error, ErrorReason, Image};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let client = Client::builder().connect()?;
    let painter = client.image("sandbox/scene").size(256, 192);
    let drawn = painter.generate("a harbour at dawn").await?;

    let editor = client.image("sandbox/scene");
    let mask = upper_half(256, 192)?;
    let edited = editor.edit("a night full of stars").image(drawn.image()).mask(mask).await?;
    let path = edited.image().save("edited.png")?;
    println!("wrote {}", path.display());

    // A model that takes no more requests for now.
    let busy = client.image("sandbox/fail-rate-limited");
    match busy.edit("a night full of stars").image(drawn.image()).await {
        Err(error) if error.reason() == ErrorReason::RateLimited => report(&error),
        other => return Err(format!("expected a rate limit, got {other:?}").into()),
    }
    Ok(())
}

fn report(error: &Error) {
    println!("{} (billed: {:?})", error, error.billed());
    match error.retry_delay() {
        Some(delay) => println!("the same call can succeed in {} s", delay.as_secs_f64()),
        None => println!("waiting does not help"),
    }
}

/// A mask of the picture's own size: what is white may change.
fn upper_half(width: u32, height: u32) -> Result<Image, png::EncodingError> {
    let white = (width * height / 2) as usize;
    let mut pixels = vec![0; (width * height) as usize];
    pixels[..white].fill(255);
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width, height);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.write_header()?.write_image_data(&pixels)?;
    Ok(Image::from_bytes(file))
}
