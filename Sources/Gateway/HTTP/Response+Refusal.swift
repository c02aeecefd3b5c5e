import HTTPTypes
import Hummingbird
import Sessions

extension Response {
  /// The answer of the HTTP side: the text as one line.
  init(_ refusal: Refusal) {
    self = .plain(HTTPResponse.Status(code: refusal.answerStatus), refusal.text)
    headers.append(contentsOf: HTTPFields(refusal.fields))
  }
}
