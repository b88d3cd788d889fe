-- Danh mục đơn vị hành chính của kho bắt đầu từ 01/01/2023; các năm trước lấy đơn vị có hiệu lực ngày đó.
-- The list of administrative units begins on 1 January 2023; earlier years take the units valid on that day.
WITH do_thi AS (
    SELECT
        dan_so.nam,
        dan_so.ma_huyen,
        count(DISTINCT don_vi.ma_dvhc) AS so_do_thi
    FROM thong_ke.dan_so_mat_do AS dan_so
    JOIN to_chuc_can_bo.don_vi_hanh_chinh AS don_vi
        ON (don_vi.cap = 'huyện' AND don_vi.loai IN ('Thành phố', 'Thị xã') AND don_vi.ma_dvhc = dan_so.ma_huyen
            OR don_vi.cap = 'xã' AND don_vi.loai = 'Thị trấn' AND don_vi.ma_cha = dan_so.ma_huyen)
        AND don_vi.ngay_hieu_luc <= greatest(make_date(dan_so.nam, 12, 31), DATE '2023-01-01')
        AND coalesce(don_vi.ngay_het_hieu_luc > greatest(make_date(dan_so.nam, 12, 31), DATE '2023-01-01'), true)
    GROUP BY ALL
)

SELECT
    nay.nam,
    nay.ma_huyen,
    nay.dan_so,
    nay.thanh_thi AS dan_so_do_thi,
    nay.nong_thon AS dan_so_nong_thon,
    round(100.0 * nay.thanh_thi / nay.dan_so, 2) AS ty_le_pct,
    round(100.0 * nay.thanh_thi / nay.dan_so, 2) - round(100.0 * truoc.thanh_thi / truoc.dan_so, 2) AS tang_so_nam_truoc_diem_pct,
    coalesce(do_thi.so_do_thi, 0) AS so_do_thi
FROM thong_ke.dan_so_mat_do AS nay
LEFT JOIN thong_ke.dan_so_mat_do AS truoc ON truoc.ma_huyen = nay.ma_huyen AND truoc.nam = nay.nam - 1
LEFT JOIN do_thi ON do_thi.nam = nay.nam AND do_thi.ma_huyen = nay.ma_huyen
