-- Who asks: Python's word, remembered by the exact text of the credential.

local identities = new_cache(5000)
local by_id = new_cache(5000)  -- for the answer's way back, which knows no credential

local function new_identity(body, now)
  local about, headers, raw, real_groups = read_lines(body)
  local user, groups = nil, 0
  for i = 1, #headers do
    local name = headers[i][1]
    if name == "impersonate-user" then user = headers[i][2]
    elseif name == "impersonate-group" then groups = groups + 1
    elseif name ~= "impersonate-uid" and name:sub(1, 18) ~= "impersonate-extra-" then error("not an identity's line") end
  end
  if not user or user == "" then error("an identity without a user") end
  return {
    headers = headers, raw = raw, user = user, groups = groups,
    real_groups = real_groups, id = about.id or "", how = about.how or "", real = about.real, own = about.own == "1",
    fresh = now + (tonumber(about.fresh) or 0), stale = now + (tonumber(about.stale) or 0),
    expires = tonumber(about.expires) or math.huge, refreshing = 0,
  }
end

-- Returns the identity, or nil after the request was answered.
local function identify(handle, facts, key, message)
  local now = now_seconds(handle)
  local held = identities.get(key)
  if held and now >= held.expires then
    identities.drop(key)
    held = nil
  end
  -- One request a worker asks again; the others go on with what is known, for as long as it may hold.
  if held and (now < held.fresh or (now < held.refreshing and now < held.stale)) then return held end
  if held then held.refreshing = now + 3 end
  local headers, body = ask(handle, "/_tenantry/identify", message(), held and KNOWN_MILLISECONDS or UNKNOWN_MILLISECONDS)
  now = now_seconds(handle)
  if headers and headers[":status"] == "200" then
    local identity = new_identity(body, now)
    identities.put(key, identity)
    by_id.put(identity.id, identity)
    return identity
  end
  local failed = not headers or tonumber(headers[":status"]) >= 500
  if failed and held and now < held.stale and now < held.expires then
    held.refreshing = now + RETRY_SECONDS
    return held
  end
  identities.drop(key)
  if headers then relay_answer(handle, facts, headers, body)
  else
    refuse(handle, facts, 503, "ServiceUnavailable", "the gateway can not look up identities just now: try again",
      "IdentityUnavailable")
  end
  return nil
end
