#pragma once

#include <cstdint>

#include "ringcast/base/time.h"

/// Every fixed maximum of the server, with its unit, in one place. What an operator may change stands in
/// server::Config instead, and starts from the values here.
namespace rc::limits {

// The user's protocol (contract.md 2, 3).
constexpr uint32_t kJsonLevelsMax = 16;               // the outermost object is level 1
constexpr uint64_t kIntegerIdMax = (1ULL << 53) - 1;  // userId; message ids are within +-2^53
constexpr uint32_t kUserIdBytesMax = 128;
constexpr uint32_t kTopicBytesMax = 128;
constexpr uint32_t kMessageIdBytesMax = 64;
constexpr uint32_t kEchoedInputBytesMax = 64;     // of a peer's input in an error text
constexpr uint32_t kMessageBytes = 16 * 1024;     // default of limits.message_bytes
constexpr uint32_t kFragmentsMax = 64;            // a message
constexpr uint32_t kControlFramesPerSecond = 10;  // pings and pongs together
constexpr uint32_t kPongsWaitingMax = 10;         // queued answers to pings
constexpr uint32_t kCloseReasonBytesMax = 123;
constexpr uint32_t kHalfFramesMax = 4'096;               // a core; each holds a wslay context of 4.3 KB
constexpr uint64_t kHalfMessageBytesMax = 128ULL << 20;  // a core, of frames and messages not yet complete
constexpr uint32_t kRefusalsInARowMax = 5;               // unauthorized answers
constexpr Duration kMessageDeadline = seconds(10);       // first byte to last of one message
constexpr Duration kCloseDeadline = seconds(5);          // our close frame to the end of the socket
constexpr Duration kCloseLinger = milliseconds(50);  // our answer to a close frame to our close of the socket
constexpr Duration kRateWindow = seconds(1);

// The API (contract.md 4).
constexpr uint32_t kPublishUsersMax = 10'000;
constexpr uint32_t kPublishMessageBytesMax = 1 << 20;
constexpr uint32_t kPublishDataBytes = 64 * 1024;  // default of limits.publish_bytes
constexpr uint32_t kBatchBytesMax = 16 << 20;
constexpr uint32_t kBatchRejectedMax = 1'000;  // rejected lines named in an answer
constexpr uint32_t kIdempotencyKeyBytesMax = 255;
constexpr uint32_t kNotificationIdBytesMax = 256;
constexpr Duration kTtlMax = hours(24) * 3'650;  // of a message
constexpr Duration kIdempotencyKept = hours(24);
constexpr uint32_t kListLimitMax = 100;
constexpr uint32_t kApiConnectionsMax = 1'024;         // a process
constexpr uint64_t kApiBodyBytesMax = 256ULL << 20;    // a process, of bodies being read
constexpr uint32_t kApiRequestsPerConnection = 1'000;  // then the connection closes (hazards P4)
constexpr Duration kApiBodyDeadline = seconds(10);     // without a byte of an announced body

// HTTP, on both listeners; the head as a whole is limits.header_bytes.
constexpr uint32_t kHeaderBytes = 8 * 1024;        // default of limits.header_bytes
constexpr uint32_t kHeaderFieldsMax = 64;          // 431
constexpr uint32_t kChunkExtensionBytesMax = 256;  // a chunk
constexpr uint32_t kTrailerBytesMax = 8 * 1024;    // a chunked body
constexpr uint32_t kProxyHeaderBytesMax = 4'096;   // PROXY protocol v2, with all that is skipped

// The engine.
constexpr uint32_t kWorkersMax = 64;
constexpr uint32_t kSlotsMax = 1U << 24;          // connections a core; the slot field of a token
constexpr uint32_t kHandshakesShareOfSlots = 5;   // a fifth of a core's slots; then the oldest give way
constexpr Duration kHandshakeGrace = seconds(1);  // for which a handshake gives way to nobody
constexpr uint32_t kMailboxPlaces = 1'024;        // a pair of cores; half for answers
constexpr uint32_t kStoreMailboxPlaces = 2'048;   // between a core and the store: a batch's next lines wait
                                                  // there while those before are committed
constexpr uint32_t kPublicationsPerTurn = 256;    // taken from mailboxes
constexpr uint32_t kPublicationBytesPerTurn = 256 * 1024;
constexpr uint32_t kDeliveriesPerSlice = 64;  // of a fan-out, between which other work gets its turn
constexpr Duration kTurnWaitMax = milliseconds(250);
constexpr uint32_t kReadMarksPerUserMax = 1'000;  // records of the log, kept for other connections
constexpr uint32_t kReplayRecordsPerChunk = 128;
constexpr uint32_t kReplayBytesPerChunk = 128 * 1024;
constexpr uint32_t kResumesWaitingMax = 8;  // of a connection, behind the one under way
// Live messages that wait behind a replay, in send queues: while the socket leaves a send waiting, and at
// all.
constexpr uint32_t kHeldQueuesStalledMax = 4, kHeldQueuesMax = 16;

static_assert(kPublicationsPerTurn <= kMailboxPlaces / 2);

}  // namespace rc::limits
