-- The key check and the counter of the nginx yardstick. The Redis client is two commands over a pooled cosocket.
local gate = {}
local keys, port, password = {}, nil, nil

function gate.init(file, redis_port, redis_password)
  port, password = redis_port, redis_password
  for line in io.lines(file) do
    local name, key = line:match("^(%S+) (%S+)$")
    keys[name] = key
  end
end

local function command(socket, text)
  local sent = socket:send(text)
  return sent and socket:receive("*l")
end

local function count(tenant)
  local socket = ngx.socket.tcp()
  socket:settimeouts(1000, 1000, 1000)
  if not socket:connect("127.0.0.1", port, { pool_size = 256 }) then return nil end
  if socket:getreusedtimes() == 0 and
    command(socket, "*2\r\n$4\r\nAUTH\r\n$" .. #password .. "\r\n" .. password .. "\r\n") ~= "+OK" then
    return nil
  end
  local key = "bench:lua:" .. tenant
  local reply = command(socket, "*2\r\n$4\r\nINCR\r\n$" .. #key .. "\r\n" .. key .. "\r\n")
  if not reply or reply:byte(1) ~= 58 then return nil end
  socket:setkeepalive(60000, 256)
  return tonumber(reply:sub(2))
end

function gate.check()
  local tenant = ngx.var.host:match("^([^.]+)%.")
  if not tenant or keys[tenant] ~= ngx.var.http_apikey then return ngx.exit(401) end
  if not count(tenant) then return ngx.exit(503) end
end

return gate
