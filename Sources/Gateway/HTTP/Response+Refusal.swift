import HTTPTypes
import Hummingbird
import Sessions

extension Response {
  /// The answer of the HTTP side: the text as one line.
  init(_ refusal: Refusal) {
    // Only refusals with a status of their own are answered here.
    self = .plain(HTTPResponse.Status(code: refusal.status ?? 500), refusal.text)
    headers.append(contentsOf: HTTPFields(refusal.fields))
  }
}
