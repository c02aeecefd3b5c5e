/// Why a request has no answer.
struct HTTPFault: Error, Equatable {
  /// For the operator, without a full stop.
  var reason: String
  /// What to change; nil where nothing is known.
  var hint: String?
  /// Whether something of the request was sent.
  var isSent: Bool
  /// Whether the connection had been kept since an earlier request, and nothing of an answer came: the server may have closed it before
  /// the request arrived.
  var isOfKept = false
  /// Whether the gateway has ended the request, as it does when it stops: that is no failure of the server.
  var isOwn = false
}
