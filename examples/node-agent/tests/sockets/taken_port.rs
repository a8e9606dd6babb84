use tokio::net::TcpSocket;

/// A port of 127.0.0.1 that nobody listens on, nor can anybody while the socket is held.
pub(crate) fn taken_port() -> (TcpSocket, u16) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let port = socket.local_addr().unwrap().port();
    (socket, port)
}
