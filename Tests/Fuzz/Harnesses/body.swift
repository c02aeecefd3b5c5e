import Bytes

@testable import WebSocketCore

// The reader of bodies says the same however they are cut, and its content is what the chunks say.
//
// Input: how the body ends, where to cut; then the bytes behind a head.
func fuzz(_ input: [UInt8]) {
  var choices = Choices(input)
  let framing = choices.one(of: [BodyFraming.chunked, .chunked, .length(Int(choices.byte())), .none])
  let seed = choices.byte()
  let bytes = choices.remainder
  let whole = Heard([bytes], framing)
  let cut = Heard(Cuts.pieces(of: bytes, seed: seed), framing)
  expect(whole == cut, "cut: \(whole) is not \(cut)")
  guard whole.isComplete else { return }
  expect(whole.fault == nil && whole.content.count + whole.rest.count <= bytes.count, "\(whole) of \(bytes)")
  switch framing {
  case .none: expect(whole.rest == bytes, "a body where there is none")
  case .length(let length): expect(whole.content.elementsEqual(bytes.prefix(length)), "other bytes than came")
  case .chunked: checkAgain(whole)
  }
}

/// What the body had, written in one chunk, reads as the same.
private func checkAgain(_ whole: Heard) {
  let size = String(whole.content.count, radix: 16)
  let chunk = whole.content.isEmpty ? [] : Array("\(size)\r\n".utf8) + whole.content + Array("\r\n".utf8)
  let again = Heard([chunk + Array("0\r\n\r\n".utf8) + whole.rest], .chunked)
  expect(again == whole, "\(whole) was written, and read as \(again)")
}

/// What was read of a connection.
private struct Heard: Equatable {
  var content: [UInt8] = []
  var fault: RequestFault?
  var isComplete = false
  /// What is behind the body.
  var rest: [UInt8] = []

  init(_ pieces: [[UInt8]], _ framing: BodyFraming) {
    var reader = BodyReader(framing)
    isComplete = reader.isComplete
    for piece in pieces { read(piece, &reader) }
  }

  private mutating func read(_ piece: [UInt8], _ reader: inout BodyReader) {
    var offset = 0
    while true {
      switch unsafe reader.next(in: piece.span.bytes, at: &offset) {
      case .content(let range):
        expect(!range.isEmpty && range.upperBound == offset, "\(range) up to \(offset)")
        content += piece[range]
      case .incomplete: return expect(offset == piece.count, "\(piece.count - offset) bytes were not read")
      case .complete:
        expect(reader.isComplete, "a body that is complete and is not")
        isComplete = true
        return rest += piece[offset...]
      case .malformed(let fault): return self.fault = fault
      }
    }
  }
}
