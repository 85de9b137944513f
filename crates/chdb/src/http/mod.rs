//! The HTTP protocol of ClickHouse, as far as clients use it: `/ping`, `/replicas_status`, and `/` for statements.
//! A request becomes a [`request::Request`], its body an anonymous file, its statement a [`crate::exec::Plan`].

mod answer;
mod auth;
mod block;
mod body;
mod encode;
mod multipart;
mod request;
mod settings;
mod stream;

use crate::config::EngineConfig;
use crate::engine::Engine;
use answer::Answer;
use auth::Accounts;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request as HttpRequest, State};
use axum::response::Response;
use axum::routing::{any, get};
use std::future::Future;
use std::sync::Arc;
use tokio::net::TcpListener;

/// What every request needs.
pub(crate) struct Endpoint {
    engine: Arc<Engine>,
    accounts: Accounts,
}

/// Serves until `stop` resolves, then lets the running requests finish.
pub(crate) async fn serve(
    listener: TcpListener,
    engine: Arc<Engine>,
    config: &EngineConfig,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let endpoint = Arc::new(Endpoint { engine, accounts: Accounts::new(&config.writer, &config.reader) });
    let router = Router::new()
        .route("/ping", get(|| async { "Ok.\n" }))
        .route("/replicas_status", get(|| async { "Ok.\n" }))
        .route("/", any(statement))
        .fallback(|| async { (axum::http::StatusCode::NOT_FOUND, "There is no such path; statements go to /\n") })
        .with_state(endpoint);
    axum::serve(listener, router).with_graceful_shutdown(stop).await
}

async fn statement(State(endpoint): State<Arc<Endpoint>>, http: HttpRequest) -> Response {
    let (parts, body) = http.into_parts();
    if parts.uri.query().is_none() && parts.method == axum::http::Method::GET && !auth::offered(&parts.headers) {
        // What a load balancer or a person with a browser asks first.
        return Response::new(Body::from("Ok.\n"));
    }
    let mut answer = Answer::new(&endpoint.engine);
    match request::Request::read(&endpoint, &mut answer, &parts, body).await {
        Ok(request) => stream::run(&endpoint.engine, answer, request).await,
        Err(exception) => answer.exception(&exception),
    }
}
