use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::super::transport::Stream as AnyStream;
use super::*;

/// Both ends of a connection.
async fn pair() -> (Transport, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap());
    let (client, server) = tokio::join!(client, listener.accept());
    (
        Transport::new(AnyStream::Tcp(client.unwrap())),
        server.unwrap().0,
    )
}

#[tokio::test]
async fn interim_answers_are_passed_on_as_they_come() {
    use std::sync::mpsc;

    use http::{HeaderMap, Method, Response};

    use crate::proxy::deadline::Deadlines;

    let (client, server) = pair().await;
    tokio::spawn(async move {
        let mut connection = h2::server::handshake(server).await.unwrap();
        while let Some(Ok((_, mut respond))) = connection.accept().await {
            for status in [103, 100] {
                let head = Response::builder().status(status).header("link", "</a>");
                respond.send_informational(head.body(()).unwrap()).unwrap();
            }
            let mut stream = respond.send_response(Response::new(()), false).unwrap();
            stream.send_data(Bytes::from_static(b"ok"), true).unwrap();
        }
    });
    let connection = Connection::open(client).await.unwrap();
    let (sender, heard) = mpsc::channel();
    let target = "/".parse().unwrap();
    let mut headers = HeaderMap::new();
    headers.insert("host", "a.example".parse().unwrap());
    let exchange = Exchange {
        head: Exchange::head(&Method::GET, false, &target, headers).unwrap(),
        body: None,
        deadlines: Deadlines {
            head: Duration::from_secs(10),
            idle: Duration::from_secs(10),
        },
    };
    let pass_on = move |head: crate::proxy::interim::Head| {
        sender
            .send((head.status, head.headers["link"].clone()))
            .unwrap();
    };

    let answered = exchange.run(Share::alone(connection), Some(&pass_on)).await;

    assert_eq!(answered.unwrap().0.status, 200);
    let heard: Vec<_> = heard
        .try_iter()
        .map(|(status, _)| status.as_u16())
        .collect();
    assert_eq!(heard, [103], "100 ends here");
}

/// Speaks until the first ping was answered, and never again.
async fn falls_silent(mut server: TcpStream) {
    let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    server.write_all(&settings).await.unwrap();
    let mut preface = [0; 24];
    server.read_exact(&mut preface).await.unwrap();
    loop {
        let mut head = [0; 9];
        server.read_exact(&mut head).await.unwrap();
        let mut payload = vec![0; usize::from(head[2])];
        server.read_exact(&mut payload).await.unwrap();
        if head[3] == 6 {
            head[4] = 1;
            server.write_all(&head).await.unwrap();
            server.write_all(&payload).await.unwrap();
            break;
        }
    }
    // Reads on, so that nothing but silence tells that it is gone.
    let _ = tokio::io::copy(&mut server, &mut tokio::io::sink()).await;
}

#[tokio::test]
async fn a_doubted_connection_takes_nothing_new_and_ends_when_its_server_stays_silent() {
    let (client, server) = pair().await;
    tokio::spawn(falls_silent(server));
    let shared = Shared::new(Duration::from_secs(60));
    let share = shared.add(Connection::open(client).await.unwrap());
    assert!(shared.take(Instant::now()).is_some());

    tokio::time::pause();
    share.connection().doubt();
    assert!(shared.take(Instant::now()).is_none(), "doubted");

    let began = Instant::now();
    while share.connection().is_open() {
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(began.elapsed() < Duration::from_secs(15), "ends in time");
    }
    assert!(began.elapsed() >= PING_WITHIN);
    shared.sweep(Instant::now());
    assert_eq!(shared.len(), 0);
}

#[tokio::test]
async fn a_sign_of_life_takes_the_doubt_away() {
    let (client, server) = pair().await;
    tokio::spawn(async move {
        let mut connection = h2::server::handshake(server).await.unwrap();
        while connection.accept().await.is_some() {}
    });
    let shared = Shared::new(Duration::from_secs(60));
    let share = shared.add(Connection::open(client).await.unwrap());

    share.connection().doubt();

    let restored = async {
        while shared.take(Instant::now()).is_none() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), restored)
        .await
        .unwrap();
}
