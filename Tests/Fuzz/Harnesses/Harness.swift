/// What libFuzzer calls with every input. A harness is one file beside this one that defines `fuzz`.
///
/// The array is as long as the input and no longer, so that the address sanitizer sees every read behind its end.
@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ data: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  fuzz(unsafe Array(UnsafeBufferPointer(start: data, count: count)))
  return 0
}

/// Ends the run with the message as the finding, unless the property holds.
func expect(_ holds: Bool, _ message: @autoclosure () -> String) {
  if !holds { fatalError(message()) }
}

/// Takes small decisions from the front of an input, so that the fuzzer can change them like everything else.
struct Choices {
  private var rest: ArraySlice<UInt8>

  init(_ input: [UInt8]) {
    rest = input[...]
  }

  /// The next byte; 0 at the end.
  mutating func byte() -> UInt8 { rest.popFirst() ?? 0 }

  mutating func one<Value>(of values: [Value]) -> Value { values[Int(byte()) % values.count] }

  /// What no decision was taken from, in an array of its own.
  var remainder: [UInt8] { Array(rest) }
}

/// Where an input is cut, repeatable from a seed.
struct Cuts {
  private var state: UInt8

  init(seed: UInt8) {
    state = seed
  }

  /// The length of the next piece: 1 to 16 bytes for most seeds, and single bytes for the seed 0.
  mutating func next() -> Int {
    guard state > 0 else { return 1 }
    state = state &* 197 | 1
    return Int(state >> 4) + 1
  }

  /// All of the input in pieces, each in an array of its own.
  static func pieces(of input: [UInt8], seed: UInt8) -> [[UInt8]] {
    var cuts = Cuts(seed: seed)
    var pieces: [[UInt8]] = []
    var start = 0
    while start < input.count {
      let end = min(input.count, start + cuts.next())
      pieces.append(Array(input[start..<end]))
      start = end
    }
    return pieces
  }
}
