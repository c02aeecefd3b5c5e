import Bytes
import ChannelLayers
import GatewayConfig
import JSON

/// A message as received from Redis.
struct IncomingMessage: Sendable, Hashable {
  var event: Event
  /// `__asgi_channel__`: the receivers among those that read the same queue, one for `send` and several for `group_send`.
  var targets: [String]?
}

/// The entries of an event's serialized map, to be completed for each queue.
struct EncodedEvent: Sendable, Hashable {
  var entryCount: Int
  var entries: [UInt8]
}

/// Writes and reads messages like channels_redis: a map in MessagePack or JSON, encrypted if keys are configured.
struct MessageCodec: Sendable {
  private static let targetsKey = "__asgi_channel__"

  private let format: SerializerFormat
  private let encryption: Fernet?

  init(format: SerializerFormat, keys: [Secret]) {
    self.format = format
    encryption = Fernet(keys: keys)
  }

  // MARK: - Writing

  func encode(_ event: Event) throws(CodecFault) -> EncodedEvent {
    let entries =
      switch format {
      case .msgpack: try packed(event)
      case .json: try text(event)
      }
    return EncodedEvent(entryCount: event.fields.count + 1, entries: entries)
  }

  private func packed(_ event: Event) throws(CodecFault) -> [UInt8] {
    var writer = MessagePackWriter()
    writer.write(text: "type".utf8)
    writer.write(text: event.type.utf8)
    for field in event.fields {
      writer.write(text: field.name.utf8)
      switch field.value {
      case .json(let value): writer.write(value)
      case .encodedJSON(let text): writer.write(try Self.parse(text))
      case .text(let utf8): writer.write(text: utf8)
      case .bytes(let bytes): writer.write(binary: bytes)
      }
    }
    return writer.bytes
  }

  private func text(_ event: Event) throws(CodecFault) -> [UInt8] {
    var text = Array(#""type": "#.utf8)
    JSONText.append(string: event.type, to: &text)
    for field in event.fields {
      text += Array(", ".utf8)
      JSONText.append(string: field.name, to: &text)
      text += Array(": ".utf8)
      switch field.value {
      case .json(let value): value.append(to: &text)
      case .encodedJSON(let encoded): text += encoded
      case .text(let utf8): JSONText.append(string: String(decoding: utf8, as: UTF8.self), to: &text)
      case .bytes: throw .notSerializable("JSON cannot carry bytes")
      }
    }
    return text
  }

  private static func parse(_ text: [UInt8]) throws(CodecFault) -> JSON {
    do throws(JSONFault) {
      return try JSON.parse(text.rawBytes)
    } catch {
      throw .notSerializable(error.message)
    }
  }

  /// - Parameter now: seconds since 1970, for the encryption.
  func body(_ event: EncodedEvent, targets: [String]? = nil, now: UInt64) -> [UInt8] {
    let plain =
      switch format {
      case .msgpack: packed(event, targets)
      case .json: text(event, targets)
      }
    return encryption?.encrypt(plain, now: now) ?? plain
  }

  private func packed(_ event: EncodedEvent, _ targets: [String]?) -> [UInt8] {
    var writer = MessagePackWriter()
    writer.write(length: event.entryCount + (targets == nil ? 0 : 1), of: .map)
    writer.append(event.entries)
    if let targets {
      writer.write(text: Self.targetsKey.utf8)
      writer.write(length: targets.count, of: .array)
      for channel in targets { writer.write(text: channel.utf8) }
    }
    return writer.bytes
  }

  private func text(_ event: EncodedEvent, _ targets: [String]?) -> [UInt8] {
    var text = Array("{".utf8) + event.entries
    if let targets {
      text += Array(#", "\#(Self.targetsKey)": "#.utf8)
      JSON.array(targets.map(JSON.string)).append(to: &text)
    }
    return text + Array("}".utf8)
  }

  // MARK: - Reading

  /// - Parameters:
  ///   - maximumAge: seconds; nil for any age. Only encrypted messages have a time.
  ///   - now: seconds since 1970.
  func decode(_ body: [UInt8], maximumAge: UInt64?, now: UInt64) throws(CodecFault) -> IncomingMessage {
    let plain = try encryption?.decrypt(body, maximumAge: maximumAge, now: now) ?? body
    var type: String?
    var targets: [String]?
    var fields: [Event.Field] = []
    for (key, value) in try entries(plain) {
      switch (key, value) {
      case ("type", .json(.string(let text))) where !text.isEmpty && !text.hasTooManyMarks: type = text
      case ("type", .json(.string(let text))) where !text.isEmpty:
        throw .malformed("its type has too many combining marks in a row")
      case ("type", _): throw .missingType
      case (Self.targetsKey, .json(let value)): targets = try Self.targets(value)
      case (Self.targetsKey, .binary): throw .malformed("its channel is not text")
      case (_, .json(let value)): fields.append(.init(key, .json(value)))
      case (_, .binary(let bytes)): fields.append(.init(key, .bytes(bytes)))
      }
    }
    guard let type else { throw .missingType }
    return IncomingMessage(event: Event(type: type, fields: fields), targets: targets)
  }

  private func entries(_ plain: [UInt8]) throws(CodecFault) -> [(key: String, value: MessagePackReader.Value)]
  {
    switch format {
    case .msgpack:
      var reader = MessagePackReader(plain)
      return try reader.readEvent()
    case .json:
      let value: JSON
      do throws(JSONFault) {
        value = try JSON.parse(plain.rawBytes, values: MessagePackReader.mostValues)
      } catch {
        throw .malformed(error.description)
      }
      guard case .object(let members) = value else { throw .malformed("it is not an object") }
      guard members.count <= MessagePackReader.mostKeys else { throw .malformed("it has too many keys") }
      return members.map { ($0.key, .json($0.value)) }
    }
  }

  private static func targets(_ value: JSON) throws(CodecFault) -> [String] {
    let channels = if case .array(let channels) = value { channels } else { [value] }
    var names: [String] = []
    for channel in channels {
      guard case .string(let name) = channel else { throw .malformed("its channel is not text") }
      names.append(name)
    }
    return names
  }
}
