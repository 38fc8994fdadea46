//! A model's clients.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use ureq::http::Response;
use ureq::{Agent, Body, Error};

use crate::fixture::folder;

/// How long a client waits.
const PATIENCE: Duration = Duration::from_secs(10);

/// How many failures are shown in detail.
const DETAILED: usize = 20;

/// The connection of a request.
#[derive(Clone, Copy, Debug)]
pub enum Connection {
    /// A new one.
    New,
    /// One that its client keeps open.
    Kept,
}

/// The response to a client.
#[derive(Clone, Debug)]
pub struct Answer {
    /// 0 without a response.
    pub status: u16,
    pub body: String,
    /// When it arrived.
    pub at: Instant,
    /// How long it took.
    pub took: Duration,
    pub connection: Connection,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    /// The version of the model that answered, as its tags say.
    pub fn version(&self) -> String {
        self.json()["meta"]["tags"]["version"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    /// The probabilities of the first row.
    pub fn probabilities(&self) -> Vec<f64> {
        let row = self.json()["data"]["ndarray"][0].clone();
        serde_json::from_value(row).unwrap_or_default()
    }
}

fn client() -> Agent {
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(PATIENCE))
        .max_redirects(0)
        .max_redirects_will_error(false)
        .proxy(None)
        .build();
    Agent::new_with_config(config)
}

fn ask_with(agent: &Agent, connection: Connection, url: &str, body: &str, headers: &[(&str, &str)]) -> Answer {
    let start = Instant::now();
    let request = agent.post(url).content_type("application/json");
    let request = headers
        .iter()
        .fold(request, |request, (name, value)| request.header(*name, *value));
    answered(start, connection, request.send(body))
}

fn answered(start: Instant, connection: Connection, answer: Result<Response<Body>, Error>) -> Answer {
    let (status, body) = match answer {
        Ok(mut answer) => {
            let status = answer.status().as_u16();
            match answer.body_mut().read_to_string() {
                Ok(body) => (status, body),
                Err(error) => (0, error.to_string()),
            }
        }
        Err(error) => (0, error.to_string()),
    };
    Answer {
        status,
        body,
        at: Instant::now(),
        took: start.elapsed(),
        connection,
    }
}

/// One request, on a connection of its own.
pub fn send(url: &str, body: &str) -> Answer {
    send_as(url, body, &[])
}

/// The same with headers of its own.
pub fn send_as(url: &str, body: &str, headers: &[(&str, &str)]) -> Answer {
    ask_with(&client(), Connection::New, url, body, headers)
}

/// A header of the response.
pub fn header(url: &str, body: &str, name: &str) -> Option<String> {
    let answer = client().post(url).content_type("application/json").send(body).ok()?;
    Some(answer.headers().get(name)?.to_str().ok()?.to_owned())
}

/// What the gateway answers to a request for the revision of a route: the status code and the location.
pub fn revision(url: &str) -> (String, String) {
    let output = Command::new("curl")
        .args(["-s", "-o", "/dev/null", "-w", "%{http_code} %header{location}"])
        .args(["-H", "x-seldon-model-revision: show", url])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let (code, location) = text.split_once(' ').unwrap();
    (code.to_owned(), location.to_owned())
}

/// GET of a URL.
pub fn get(url: &str) -> Answer {
    answered(Instant::now(), Connection::New, client().get(url).call())
}

/// Requests at a constant rate, until it is stopped.
pub struct Load {
    stop: Arc<AtomicBool>,
    clients: Vec<JoinHandle<Vec<Answer>>>,
}

impl Load {
    /// From that many clients, each with 20 requests a second: half of them on kept connections, half on a
    /// new one each.
    pub fn start(url: &str, body: &str, clients: usize) -> Self {
        const PACE: Duration = Duration::from_millis(50);
        let stop = Arc::new(AtomicBool::new(false));
        let clients = (0..clients)
            .map(|number| {
                let (stop, url, body) = (Arc::clone(&stop), url.to_owned(), body.to_owned());
                thread::spawn(move || {
                    let kept = client();
                    let mut answers = Vec::new();
                    let mut next = Instant::now();
                    while !stop.load(Ordering::Relaxed) {
                        answers.push(if number % 2 == 0 {
                            ask_with(&kept, Connection::Kept, &url, &body, &[])
                        } else {
                            send(&url, &body)
                        });
                        next += PACE;
                        thread::sleep(next.saturating_duration_since(Instant::now()));
                    }
                    answers
                })
            })
            .collect();
        Self { stop, clients }
    }

    /// The responses, in order of time.
    pub fn stop(self) -> Vec<Answer> {
        self.stop.store(true, Ordering::Relaxed);
        let mut all: Vec<Answer> = self
            .clients
            .into_iter()
            .flat_map(|client| client.join().unwrap())
            .collect();
        all.sort_by_key(|answer| answer.at);
        all
    }
}

/// Asserts that every request succeeded, at no less than this rate a second.
#[track_caller]
pub fn assert_none_failed(answers: &[Answer], rate: f64) {
    let (first, last) = (answers.first().unwrap(), answers.last().unwrap());
    let failed: Vec<&Answer> = answers.iter().filter(|answer| answer.status != 200).collect();
    // By the clock of the site's logs.
    let clock = |answer: &Answer| Timestamp::now() - answer.at.elapsed();
    let details = failed.iter().take(DETAILED).map(|answer| {
        format!(
            "\n{} {} after {} ms on a connection that is {:?}, {:.3} s after the first answer, at {}",
            answer.status,
            answer.body,
            answer.took.as_millis(),
            answer.connection,
            (answer.at - first.at).as_secs_f64(),
            clock(answer),
        )
    });
    assert!(
        failed.is_empty(),
        "{} of {} failed:{}\nThe site at that time:\n{}",
        failed.len(),
        answers.len(),
        details.collect::<String>(),
        site_logs(&failed.iter().copied().map(clock).collect::<Vec<_>>())
    );
    let seconds = (last.at - first.at).as_secs_f64();
    #[allow(clippy::cast_precision_loss, reason = "thousands")]
    let seen = answers.len() as f64 / seconds;
    assert!(seen >= rate, "{seen:.0} requests a second are no load");
}

/// The failures in the logs of the gateway and of the port that leads to it, within a second of
/// one of these moments.
fn site_logs(moments: &[Timestamp]) -> String {
    const SECOND: SignedDuration = SignedDuration::from_secs(1);
    let site = folder("e2e");
    let pods = fs::read_dir(site.join("pods")).into_iter().flatten().flatten();
    let gateways = pods
        .filter(|pod| pod.file_name().to_string_lossy().contains("_istio-ingressgateway-"))
        .map(|pod| pod.path().join("istio-proxy/0.log"));
    let logs: Vec<PathBuf> = std::iter::once(site.join("gateway-port.log")).chain(gateways).collect();
    let texts: Vec<String> = logs.iter().flat_map(fs::read_to_string).collect();
    let near = |line: &&str| {
        // Envoy writes late, and the time of the request itself is in brackets.
        let from = line.split_once('[').map_or(*line, |(_, request)| request);
        let at = from
            .split_inclusive('Z')
            .next()
            .and_then(|at| at.parse::<Timestamp>().ok());
        at.is_some_and(|at| moments.iter().any(|moment| moment.duration_since(at).abs() <= SECOND))
    };
    let lines = texts.iter().flat_map(|text| text.lines());
    let lines = lines.filter(|line| !line.contains("\" 200 ")).filter(near);
    lines.take(DETAILED).collect::<Vec<_>>().join("\n")
}
