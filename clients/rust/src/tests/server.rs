//! A server that says what a test tells it to, byte for byte: gRPC by hand over hyper, on a port of its own.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc};
use tonic::Code;

use crate::backoff::Pace;
use crate::{Client, ClientBuilder};

/// One thing that the server says in an answer.
#[derive(Clone)]
pub enum Say {
    /// Initial metadata. Must be first; without it there is none.
    Metadata(&'static str, String),
    /// A message.
    Message(Bytes),
    /// The end, with a status and trailers. If nothing else was said it comes alone, as the headers.
    Status(Code, Vec<(&'static str, String)>),
    /// An answer of a proxy: this HTTP status and some text.
    Http(u16),
    /// The end without a status.
    End,
    /// RST_STREAM with this code.
    Reset(h2::Reason),
    /// The TCP connection breaks. What was said just before may be lost with it.
    Cut,
    /// Nothing more, until the client goes.
    Hang,
}

pub fn message(message: &impl Message) -> Say {
    Say::Message(message.encode_to_vec().into())
}

pub fn ok() -> Say {
    Say::Status(Code::Ok, Vec::new())
}

/// A call that the server got.
#[derive(Debug, Clone)]
pub struct Call {
    /// The name of the method, without its service.
    pub method: String,
    /// The whole path.
    pub path: String,
    pub headers: HeaderMap,
    body: Bytes,
}

impl Call {
    pub fn request<M: Message + Default>(&self) -> M {
        M::decode(&self.body[5..]).expect("a request")
    }
}

type Script = dyn Fn(&Call) -> Vec<Say> + Send + Sync;

pub struct Server {
    pub address: String,
    seen: Arc<Seen>,
    accepting: tokio::task::JoinHandle<()>,
}

#[derive(Default)]
struct Seen {
    calls: Mutex<Vec<Call>>,
    gone: Mutex<usize>,
    sent: Mutex<usize>,
    changed: Notify,
}

impl Server {
    /// Answers every call as `script` says.
    pub async fn start(script: impl Fn(&Call) -> Vec<Say> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let (seen, script): (Arc<Seen>, Arc<Script>) = (Arc::default(), Arc::new(script));
        let accepting = tokio::spawn({
            let seen = seen.clone();
            async move {
                while let Ok((socket, _)) = listener.accept().await {
                    tokio::spawn(serve(socket, seen.clone(), script.clone()));
                }
            }
        });
        Self { address, seen, accepting }
    }

    /// A client of it whose waits are short.
    pub fn client(&self) -> Client {
        self.builder().connect().expect("a client")
    }

    pub fn builder(&self) -> ClientBuilder {
        Client::builder().address(&self.address).pace(Pace(0.002))
    }

    pub fn calls(&self) -> Vec<Call> {
        self.seen.calls.lock().unwrap().clone()
    }

    /// The names of the methods that were called.
    pub fn methods(&self) -> Vec<String> {
        self.calls().into_iter().map(|call| call.method).collect()
    }

    /// Until so many calls have come.
    pub async fn called(&self, times: usize) {
        self.until(|seen| seen.calls.lock().unwrap().len() >= times).await;
    }

    /// Until the client has gone away from so many calls that hung.
    pub async fn gone(&self, times: usize) {
        self.until(|seen| *seen.gone.lock().unwrap() >= times).await;
    }

    /// Bytes of messages that the connection has taken.
    pub fn sent(&self) -> usize {
        *self.seen.sent.lock().unwrap()
    }

    async fn until(&self, done: impl Fn(&Seen) -> bool) {
        loop {
            let changed = self.seen.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if done(&self.seen) {
                return;
            }
            changed.await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn serve(socket: tokio::net::TcpStream, seen: Arc<Seen>, script: Arc<Script>) {
    let cut = Arc::new(Notify::new());
    let service = service_fn(|request: Request<Incoming>| {
        let (seen, script, cut) = (seen.clone(), script.clone(), cut.clone());
        async move {
            let path = request.uri().path().to_owned();
            let method = path.rsplit('/').next().unwrap_or_default().to_owned();
            let headers = request.headers().clone();
            let body = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
            let call = Call { method, path, headers, body };
            let says = script(&call);
            seen.calls.lock().unwrap().push(call);
            seen.changed.notify_waiters();
            if let Some(Say::Cut) = says.first() {
                cut.notify_one();
                std::future::pending::<()>().await;
            }
            Ok::<_, Infallible>(answer(says, seen, cut))
        }
    });
    let served =
        hyper::server::conn::http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(socket), service);
    tokio::select! {
        _ = served => {}
        () = cut.notified() => {}
    }
}

fn answer(says: Vec<Say>, seen: Arc<Seen>, cut: Arc<Notify>) -> Response<Said> {
    let (frames, body) = mpsc::channel(1);
    let mut response = Response::new(Said(body));
    let headers = response.headers_mut();
    headers.insert("content-type", HeaderValue::from_static("application/grpc"));
    let mut says = says.into_iter().peekable();
    while let Some(Say::Metadata(key, value)) = says.next_if(|say| matches!(say, Say::Metadata(..))) {
        headers.insert(key, HeaderValue::try_from(value).unwrap());
    }
    if let Some(Say::Status(code, trailers)) = says.next_if(|say| matches!(say, Say::Status(..))) {
        headers.extend(status(code, trailers));
        return response;
    }
    if let Some(Say::Http(code)) = says.next_if(|say| matches!(say, Say::Http(_))) {
        headers.insert("content-type", HeaderValue::from_static("text/html"));
        *response.status_mut() = code.try_into().unwrap();
    }
    tokio::spawn(async move {
        for say in says {
            let frame = match say {
                Say::Message(data) => {
                    let mut framed = BytesMut::with_capacity(data.len() + 5);
                    framed.put_u8(0);
                    framed.put_u32(data.len() as u32);
                    framed.put(&*data);
                    Ok(Frame::data(framed.freeze()))
                }
                Say::Status(code, trailers) => Ok(Frame::trailers(status(code, trailers))),
                Say::Reset(reason) => Err(h2::Error::from(reason)),
                Say::Cut => {
                    cut.notify_one();
                    std::future::pending().await
                }
                Say::Hang => {
                    frames.closed().await;
                    *seen.gone.lock().unwrap() += 1;
                    seen.changed.notify_waiters();
                    return;
                }
                Say::Metadata(..) | Say::Http(_) | Say::End => return,
            };
            let size = frame.as_ref().ok().and_then(Frame::data_ref).map_or(0, Bytes::len);
            if frames.send(frame).await.is_err() {
                return;
            }
            *seen.sent.lock().unwrap() += size;
        }
    });
    response
}

fn status(code: Code, trailers: Vec<(&'static str, String)>) -> HeaderMap {
    let mut map = HeaderMap::new();
    map.insert("grpc-status", HeaderValue::from(code as i32));
    for (key, value) in trailers {
        map.insert(HeaderName::from_static(key), HeaderValue::try_from(value).unwrap());
    }
    map
}

/// The body of an answer.
struct Said(mpsc::Receiver<Result<Frame<Bytes>, h2::Error>>);

impl Body for Said {
    type Data = Bytes;
    type Error = h2::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, h2::Error>>> {
        self.0.poll_recv(cx)
    }
}
