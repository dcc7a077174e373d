//! Wire protocols of exec, attach and port-forward: WebSocket channels, SPDY/3.1 and SPDY tunnelled in WebSocket.
