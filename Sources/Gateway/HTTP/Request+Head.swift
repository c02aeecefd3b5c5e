import Bytes
import GatewayConfig
import HTTPTypes
import Hummingbird
import NIOCore
import NIOHTTP1
import Sessions
import WebSocketCore

extension HTTPFields {
  /// Leaves out fields whose names are not valid, with which nobody could do anything.
  init(_ fields: some Sequence<HeaderField>) {
    self.init()
    for field in fields {
      guard let name = HTTPField.Name(field.name) else { continue }
      append(HTTPField(name: name, value: field.value))
    }
  }
}

extension Request {
  /// As the workers read them.
  fileprivate var fields: [HeaderField] {
    headers.map { HeaderField(name: $0.name.canonicalName, value: $0.value) }
  }
}

extension HTTPRequestHead {
  /// As the workers read them.
  var fields: [HeaderField] {
    headers.map { HeaderField(name: $0.name.lowercased(), value: $0.value) }
  }

  /// The head as bytes, for a worker to read again. The parser has refused what is no valid field.
  var bytes: [UInt8] {
    var text = "\(method.rawValue) \(uri) HTTP/1.\(version.minor)\r\n"
    for field in headers { text += "\(field.name): \(field.value)\r\n" }
    return OpaqueText.bytes(of: text + "\r\n")
  }
}

extension Response {
  init(_ answer: HTTPAnswer) {
    self.init(
      status: HTTPResponse.Status(code: answer.status), headers: HTTPFields(answer.fields),
      body: ResponseBody(byteBuffer: ByteBuffer(bytes: answer.body)))
  }
}

extension ProcessState {
  /// The client of a request on the HTTP service, and the answer where its address has too many connections. A proxy sends
  /// requests of many clients on one connection, so each has its own place while it is answered, and none counts as a handshake.
  func client(of request: Request, behind direct: Client) -> (client: Client, refusal: Response?) {
    let (client, refusal) = client(of: request.fields, behind: direct, isHandshake: false)
    guard let refusal else { return (client, nil) }
    counters.refusals.up()
    return (client, Response(HTTPAnswer(refusal.reason)))
  }
}
