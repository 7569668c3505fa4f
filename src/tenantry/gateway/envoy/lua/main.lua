-- A request's way, and an answer's way back.

local REFUSALS = {
  UrlTooLong = { 414, "RequestURITooLong", "the request's URL is longer than the gateway takes" },
  PathMalformed = { 400, "BadRequest", "the request's path is not in the form that the gateway forwards" },
  HostMalformed = { 400, "BadRequest", "the request's host is no host name" },
  PathUnknown = { 404, "NotFound", "the gateway serves nothing at this path" },
}

local function describe(facts, identity)
  facts.user, facts.groups, facts.how, facts.id = identity.user, identity.groups, identity.how, identity.id
  if identity.real ~= identity.user then facts.real = identity.real end
end

local function route_of(facts, identity, verdict)
  local route = verdict and verdict.route or "upstream"
  if route == "upstream" and CONFIG.own_always and identity.own and not (verdict and #verdict.headers > 0) then
    route = "own"
  end
  return facts.long and route .. "-stream" or route, route
end

local function add_all(headers, list)
  for i = 1, #list do headers:add(list[i][1], list[i][2]) end
end

-- For the process that holds streams, and ends them when their user is locked out or their credential ends.
local function tell_whose(headers, identity, own)
  headers:replace("x-tenantry-cluster", CONFIG.cluster)
  headers:replace("x-tenantry-stream", own and "own" or "upstream")
  headers:replace("x-tenantry-id", identity.id)
  headers:replace("x-tenantry-how", identity.how)
  headers:replace("x-tenantry-real", identity.real or identity.user)
  if identity.expires ~= math.huge then headers:replace("x-tenantry-expires", string.format("%d", identity.expires)) end
  for i = 1, #identity.real_groups do headers:add("x-tenantry-real-group", identity.real_groups[i]) end
  if not own then return end
  for i = 1, #identity.headers do
    local name = identity.headers[i][1]
    if name == "impersonate-user" or name == "impersonate-group" then
      headers:add("x-tenantry-" .. name, identity.headers[i][2])
    end
  end
end

-- What goes on, on a header map from which all that claims an identity is gone.
local function forward(handle, facts, identity, verdict, request)
  local headers = handle:headers()
  local route, whose = route_of(facts, identity, verdict)
  local own = whose == "own"
  for i = 1, #request.drop do headers:remove(request.drop[i]) end
  headers:remove("cookie")
  headers:remove("proxy-authorization")
  if CONFIG.forwarded ~= "" then headers:remove(CONFIG.forwarded) end
  if not own then
    headers:remove("authorization")
    if request.bearer then
      if request.protocols then headers:replace("sec-websocket-protocol", request.protocols)
      else headers:remove("sec-websocket-protocol") end
    end
    add_all(headers, identity.headers)
    if verdict then add_all(headers, verdict.headers) end
  end
  -- As the client sent it, it might name our headers as hop-by-hop.
  if request.upgrade then headers:replace("connection", "Upgrade") end
  local id = headers:get("x-request-id")
  if id then headers:replace("audit-id", id) end
  local held = facts.long and CONFIG.holds
  if held or whose == "python" then headers:replace("x-tenantry-secret", CONFIG.secret) end
  if held then tell_whose(headers, identity, own) end
  headers:replace("x-tenantry-route", route)
  handle:clearRouteCache()
  facts.route, facts.decision = route, "allow"
  describe(facts, identity)
  note(handle, facts)
  local metadata = handle:streamInfo():dynamicMetadata()
  if own then metadata:set("tenantry", "own", "yes") end
  metadata:set("tenantry", "ok", "yes")  -- Last: the guard lets nothing through without it.
end

local function on_request(handle)
  local headers = handle:headers()
  local target, method = headers:get(":path"), headers:get(":method")
  if target == "/_healthz" then
    note(handle, { decision = "allow", route = "health", long = false })
    return handle:respond({ [":status"] = "200", ["content-type"] = "text/plain; charset=utf-8" }, "ok")
  end
  local path, plain, query = split_target(target or "")
  -- Two Host headers become one with a comma.
  if path and (headers:get(":authority") or "!"):find("[^%w%.%-_:%[%]]") then path, plain = nil, "HostMalformed" end
  if not path then
    local refusal = REFUSALS[plain]
    return refuse(handle, { long = false }, refusal[1], refusal[2], refusal[3], plain)
  end
  if not VERBS[method] and method ~= "OPTIONS" then
    return refuse(handle, { long = false }, 405, "MethodNotAllowed", "the gateway forwards no such method", "MethodUnknown")
  end
  local upgrade = headers:get("upgrade")
  local facts = request_facts(method, plain, query)
  facts.long, facts.upgrade = is_long_running(facts, query, upgrade), upgrade ~= nil
  if query then facts.query = audited(query) end
  if is_masked(facts, method) then facts.target = target end
  if makes_namespace(facts, method, query) then facts.makes = method end
  local request = { method = method, target = target, path = path, upgrade = upgrade, accept = headers:get("accept") }
  local protocols = headers:get("sec-websocket-protocol")
  if protocols then request.protocols, request.bearer = without_bearer(protocols) end
  local impersonation
  request.drop, impersonation = claimed(headers)
  local key, message = credential_of(handle, headers, request.bearer, impersonation)
  -- Names of resources are no label of a metric before it is known who asks.
  local identity = identify(handle, { long = facts.long, verb = facts.verb }, key, message)
  if not identity then return end
  local verdict
  if needs_verdict(facts, method) then
    describe(facts, identity)
    verdict = verdict_on(handle, facts, identity, request)
    if not verdict then return end
  end
  forward(handle, facts, identity, verdict, request)
end

-- An error lets the request go on as the client sent it.  What this does not catch, the guard does.
function envoy_on_request(handle)
  local done, problem = pcall(on_request, handle)
  if not done then
    handle:logErr("tenantry: " .. tostring(problem))
    refuse(handle, { long = false }, 500, "InternalError", "the gateway's script failed: look into its log", "ScriptFailed")
  end
end

local function replace_answer(handle, code, body)
  handle:body(true):setBytes(body)
  local headers = handle:headers()
  headers:replace(":status", code)
  headers:replace("content-type", "application/json")
  headers:remove("content-encoding")
  headers:remove("www-authenticate")
  return headers
end

-- The API server refuses our own credential: to the client that must not look like a refusal of its own.
local function on_unauthorized(handle, facts)
  if facts.subresource == "proxy" or facts.verb == "proxy" then
    -- Perhaps the answer of what is behind the API server's own proxy.
    local body = handle:body(true)
    local text = body:getBytes(0, math.min(body:length(), 2048))
    if not (text:find('"kind":"Status"', 1, true) and text:find('"reason":"Unauthorized"', 1, true)) then return end
  end
  handle:streamInfo():dynamicMetadata():set("tenantry", "alarm", "credential")
  local text = "the gateway's own credential was refused: tell a platform operator, then try again"
  replace_answer(handle, "503", status_body(503, "ServiceUnavailable", text)):replace("retry-after", "5")
end

local function on_forbidden(handle, facts)
  local identity = facts.target and by_id.get(facts.id)
  if not identity then return end
  handle:body(true)  -- Before the call: afterwards it would have gone out.
  local message = ":id: " .. identity.id .. "\n:method: GET\n:path: " .. facts.target .. "\n" .. identity.raw
  local headers, body = ask(handle, "/_tenantry/masked", message, KNOWN_MILLISECONDS)
  local status = headers and headers[":status"] == "200" and headers["x-tenantry-status"]
  if status then replace_answer(handle, status, body) end
end

-- The answer waits until its maker's rights in a new namespace are there.
local MOST_BYTES = 131072
local function on_created(handle, facts)
  local identity = by_id.get(facts.id)
  local body = identity and handle:body(true)
  if not body or body:length() > MOST_BYTES then return end
  local path = "/api/" .. facts.version .. "/namespaces" .. (facts.name and "/" .. facts.name or "")
  local message = ":id: " .. identity.id .. "\n:method: " .. facts.makes .. "\n:path: " .. path
    .. "\n:body: " .. handle:base64Escape(body:getBytes(0, body:length())) .. "\n" .. identity.raw
  ask(handle, "/_tenantry/created", message, KNOWN_MILLISECONDS)
end

-- To a request that asked for no upgrade: a client that believed it would read the next answer as a stream.
local function on_switched(handle)
  local text = "the API server switched protocols without being asked"
  replace_answer(handle, "502", status_body(502, "ServiceUnavailable", text)):replace("connection", "close")
end

-- What Python refused of what it answers itself: for the record.
local function on_refused(handle, facts)
  local token = handle:headers():get("x-tenantry-reason")
  if not token then return end
  facts.decision, facts.reason = "deny", token
  note(handle, facts)
end

local function on_response(handle)
  local status = handle:headers():get(":status")
  if status < "4" and status ~= "101" and status ~= "201" then return end
  local metadata = handle:streamInfo():dynamicMetadata():get("tenantry")
  if not metadata or metadata.ok ~= "yes" then return end
  local facts = metadata.a
  if status >= "4" and facts.route:sub(1, 6) == "python" then return on_refused(handle, facts) end
  if status ~= "401" and status ~= "403" and status ~= "101" and status ~= "201" then return end
  if status == "101" then
    if not facts.upgrade then on_switched(handle) end
    return
  end
  if status == "201" then
    if facts.makes then on_created(handle, facts) end
    return
  end
  if metadata.own == "yes" then return end
  if status == "401" then on_unauthorized(handle, facts) else on_forbidden(handle, facts) end
end

function envoy_on_response(handle)
  local done, problem = pcall(on_response, handle)
  if not done then handle:logErr("tenantry: " .. tostring(problem)) end
end
