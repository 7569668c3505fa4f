-- What the script itself answers, and what it notes for the audit log.

-- The facts of a request, in one call: each call copies the metadata.
local function note(handle, facts)
  facts.cluster = CONFIG.cluster
  handle:streamInfo():dynamicMetadata():set("tenantry", "a", facts)
end

local function status_body(code, reason, message)
  return string.format(
    '{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"%s","reason":"%s","code":%d}\n',
    message, reason, code)
end

-- Ends the request.  message: a constant, as nothing is escaped; token: for audit and metrics.
local function refuse(handle, facts, code, reason, message, token)
  facts.decision, facts.reason = "deny", token
  note(handle, facts)
  local headers = { [":status"] = tostring(code), ["content-type"] = "application/json" }
  if code == 503 then headers["retry-after"] = "1" end
  handle:respond(headers, status_body(code, reason, message))
end

-- Ends the request with an answer that Python made: only the headers that the protocol names.
local RELAYED = { "content-type", "www-authenticate", "retry-after" }
local function relay_answer(handle, facts, headers, body)
  facts.decision = "deny"
  facts.reason = headers["x-tenantry-reason"] or "Refused"
  facts.user = facts.user or headers["x-tenantry-user"]
  if headers["x-tenantry-user"] then facts.user = headers["x-tenantry-user"] end
  note(handle, facts)
  local answer = { [":status"] = headers[":status"] }
  for i = 1, #RELAYED do answer[RELAYED[i]] = headers[RELAYED[i]] end
  handle:respond(answer, body or "")
end
