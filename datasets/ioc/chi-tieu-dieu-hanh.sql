-- Mỗi nhánh là một chỉ tiêu tính từ hàng của kho; mã chỉ tiêu là mã trong ioc.danh_muc_chi_tieu.
-- One branch per indicator that rows can give; the published values stand in ioc.danh_muc_chi_tieu.
WITH buu_chinh AS (
    SELECT sum(doanh_thu_ty_dong) AS doanh_thu, sum(nop_ngan_sach_ty_dong) AS nop
    FROM buu_chinh.doanh_thu_nop_ngan_sach
    WHERE ky BETWEEN '202301' AND '202306'
),
vien_thong AS (
    SELECT sum(doanh_thu_ty_dong) AS doanh_thu, sum(nop_ngan_sach_ty_dong) AS nop
    FROM vien_thong.doanh_thu_nop_ngan_sach
    WHERE ky BETWEEN '202301' AND '202306'
),
nganh_in AS (
    SELECT sum(doanh_thu_ty_dong) AS doanh_thu, sum(nop_ngan_sach_ty_dong) AS nop
    FROM in_phat_hanh.doanh_thu_in
    WHERE ky IN ('20231', '20232')
),
phat_hanh AS (
    SELECT sum(doanh_thu_ty_dong) AS doanh_thu, sum(nop_ngan_sach_trieu_dong) AS nop
    FROM in_phat_hanh.doanh_thu_phat_hanh
    WHERE ky IN ('20231', '20232')
),
ho_so AS (
    SELECT
        count(*) AS tong,
        count(*) FILTER (hinh_thuc_nop = 'Trực tuyến') AS truc_tuyen,
        count(*) FILTER (dung_han) AS dung_han
    FROM mot_cua.ho_so
    WHERE ngay_tiep_nhan < TIMESTAMP '2023-07-01'
),
dich_vu AS (
    SELECT count(*) AS tong, count(*) FILTER (muc = 'Toàn trình') AS toan_trinh
    FROM mot_cua.dich_vu_cong_truc_tuyen
),
to_cong_nghe AS (
    SELECT count(*) AS so_to, sum(so_thanh_vien) AS thanh_vien
    FROM chuyen_doi_so.to_cong_nghe_so_cong_dong
),
nhiem_vu AS (
    SELECT count(*) AS tong, count(*) FILTER (trang_thai = 'Hoàn thành') AS hoan_thanh
    FROM chuyen_doi_so.nhiem_vu_nghi_quyet
),
van_ban AS (
    SELECT 100.0 * sum(dien_tu) / sum(van_ban_di + van_ban_den) AS ty_le
    FROM van_ban_dien_tu.trao_doi_van_ban
),
ky_so AS (
    SELECT 100.0 * sum(da_ky_so) / sum(van_ban_di) AS ty_le
    FROM van_ban_dien_tu.ky_so_van_ban
),
hop_thu AS (
    SELECT 100.0 * sum(so_hoat_dong) / sum(so_hop_thu) AS ty_le
    FROM van_ban_dien_tu.hop_thu_dien_tu
),
thue_bao AS (
    SELECT 100.0 * sum(thue_bao_thong_minh) / sum(dan_so) AS ty_le
    FROM vien_thong.thue_bao
    WHERE ky = (SELECT max(ky) FROM vien_thong.thue_bao)
),
cap_quang AS (
    SELECT 100.0 * sum(so_ho_co_cap_quang) / sum(so_ho) AS ty_le
    FROM vien_thong.cap_quang_ho_gia_dinh
    WHERE ky = (SELECT max(ky) FROM vien_thong.cap_quang_ho_gia_dinh)
),
cai_dat AS (
    SELECT sum(luot_cai_luy_ke) AS nguoi
    FROM long_an_so.nguoi_dung
    WHERE ngay = (SELECT max(ngay) FROM long_an_so.nguoi_dung)
),
gia_tri AS (
    SELECT 'buu_chinh_doanh_thu' AS ma_chi_tieu, doanh_thu AS gia_tri, 'buu_chinh.doanh_thu_nop_ngan_sach' AS nguon FROM buu_chinh
    UNION ALL
    SELECT 'buu_chinh_nop_ngan_sach', nop, 'buu_chinh.doanh_thu_nop_ngan_sach' FROM buu_chinh
    UNION ALL
    SELECT 'buu_chinh_ho_so_bcci', sum(so_ho_so), 'mot_cua.ho_so_qua_bcci' FROM mot_cua.ho_so_qua_bcci
    UNION ALL
    SELECT 'tmdt_nguoi_ban', count(*), 'thuong_mai_dien_tu.gian_hang' FROM thuong_mai_dien_tu.gian_hang
    UNION ALL
    SELECT 'tmdt_san_pham', count(*), 'thuong_mai_dien_tu.san_pham' FROM thuong_mai_dien_tu.san_pham
    UNION ALL
    SELECT 'tmdt_gia_tri_giao_dich', sum(gia_tri_trieu_dong), 'thuong_mai_dien_tu.giao_dich' FROM thuong_mai_dien_tu.giao_dich
    UNION ALL
    SELECT 'vien_thong_doanh_thu', doanh_thu, 'vien_thong.doanh_thu_nop_ngan_sach' FROM vien_thong
    UNION ALL
    SELECT 'vien_thong_nop_ngan_sach', nop, 'vien_thong.doanh_thu_nop_ngan_sach' FROM vien_thong
    UNION ALL
    SELECT 'vien_thong_bts_5g', count(*), 'vien_thong.tram_bts' FROM vien_thong.tram_bts WHERE cong_nghe = '5G'
    UNION ALL
    SELECT 'in_co_so', count(*), 'in_phat_hanh.co_so_in' FROM in_phat_hanh.co_so_in
    UNION ALL
    SELECT 'in_doanh_thu', doanh_thu, 'in_phat_hanh.doanh_thu_in' FROM nganh_in
    UNION ALL
    SELECT 'in_nop_ngan_sach', nop, 'in_phat_hanh.doanh_thu_in' FROM nganh_in
    UNION ALL
    SELECT 'phat_hanh_doanh_thu', doanh_thu, 'in_phat_hanh.doanh_thu_phat_hanh' FROM phat_hanh
    UNION ALL
    SELECT 'phat_hanh_nop_ngan_sach', nop, 'in_phat_hanh.doanh_thu_phat_hanh' FROM phat_hanh
    UNION ALL
    SELECT 'bao_chi_tin_bai', count(*), 'bao_chi.tin_bai_ve_long_an' FROM bao_chi.tin_bai_ve_long_an
    UNION ALL
    SELECT 'kho_so_bo_du_lieu', count(*), 'kho.register' FROM kho.register WHERE status = 'active'
    UNION ALL
    SELECT 'to_cong_nghe_so', so_to, 'chuyen_doi_so.to_cong_nghe_so_cong_dong' FROM to_cong_nghe
    UNION ALL
    SELECT 'to_cong_nghe_so_thanh_vien', thanh_vien, 'chuyen_doi_so.to_cong_nghe_so_cong_dong' FROM to_cong_nghe
    UNION ALL
    SELECT 'so_xa_phuong_thi_tran', count(*), 'to_chuc_can_bo.don_vi_hanh_chinh'
    FROM to_chuc_can_bo.don_vi_hanh_chinh
    WHERE cap = 'xã' AND ngay_hieu_luc <= DATE '2023-06-30' AND coalesce(ngay_het_hieu_luc > DATE '2023-06-30', true)
    UNION ALL
    SELECT 'dvc_ho_so_tong', tong, 'mot_cua.ho_so' FROM ho_so
    UNION ALL
    SELECT 'dvc_ho_so_truc_tuyen', truc_tuyen, 'mot_cua.ho_so' FROM ho_so
    UNION ALL
    SELECT 'dvc_ty_le_truc_tuyen', 100.0 * truc_tuyen / tong, 'mot_cua.ho_so' FROM ho_so
    UNION ALL
    SELECT 'dvc_dung_han', 100.0 * dung_han / tong, 'mot_cua.ho_so' FROM ho_so
    UNION ALL
    SELECT 'dvc_muc_4', 100.0 * toan_trinh / tong, 'mot_cua.dich_vu_cong_truc_tuyen' FROM dich_vu
    UNION ALL
    SELECT 'van_ban_trao_doi_dien_tu', ty_le, 'van_ban_dien_tu.trao_doi_van_ban' FROM van_ban
    UNION ALL
    SELECT 'van_ban_ky_so', ty_le, 'van_ban_dien_tu.ky_so_van_ban' FROM ky_so
    UNION ALL
    SELECT 'thu_dien_tu', ty_le, 'van_ban_dien_tu.hop_thu_dien_tu' FROM hop_thu
    UNION ALL
    SELECT 'long_an_so_cai_dat', nguoi, 'long_an_so.nguoi_dung' FROM cai_dat
    UNION ALL
    SELECT 'long_an_so_zalo', max(nguoi_dung_luy_ke), 'long_an_so.miniapp_zalo' FROM long_an_so.miniapp_zalo
    UNION ALL
    SELECT 'tong_dai_1022_phan_anh', count(*), 'tong_dai_1022.phan_anh_kien_nghi' FROM tong_dai_1022.phan_anh_kien_nghi
    UNION ALL
    SELECT 'dien_thoai_thong_minh', ty_le, 'vien_thong.thue_bao' FROM thue_bao
    UNION ALL
    SELECT 'ho_gia_dinh_cap_quang', ty_le, 'vien_thong.cap_quang_ho_gia_dinh' FROM cap_quang
    UNION ALL
    SELECT 'nhiem_vu_tong', tong, 'chuyen_doi_so.nhiem_vu_nghi_quyet' FROM nhiem_vu
    UNION ALL
    SELECT 'nhiem_vu_hoan_thanh', hoan_thanh, 'chuyen_doi_so.nhiem_vu_nghi_quyet' FROM nhiem_vu
),
so_sanh AS (
    SELECT
        gia_tri.ma_chi_tieu,
        round(gia_tri.gia_tri, 4) AS gia_tri,
        danh_muc.don_vi_tinh,
        round(gia_tri.gia_tri, 4) - danh_muc.gia_tri_cong_bo AS chenh_lech,
        danh_muc.sai_so_cho_phep,
        danh_muc.nguong_canh_bao,
        coalesce(
            CASE danh_muc.chieu_tot
                WHEN 'Cao hơn là tốt' THEN gia_tri.gia_tri < danh_muc.nguong_canh_bao
                WHEN 'Thấp hơn là tốt' THEN gia_tri.gia_tri > danh_muc.nguong_canh_bao
            END,
            false
        ) AS canh_bao,
        danh_muc.ngay_cong_bo,
        gia_tri.nguon
    FROM gia_tri
    JOIN ioc.danh_muc_chi_tieu AS danh_muc USING (ma_chi_tieu)
    WHERE gia_tri.gia_tri IS NOT NULL
)
SELECT
    ma_chi_tieu,
    '80' AS ma_don_vi,
    '2023-6T' AS ky,
    ngay_cong_bo AS den_ngay,
    gia_tri,
    don_vi_tinh,
    chenh_lech,
    abs(chenh_lech) <= sai_so_cho_phep AS khop_cong_bo,
    nguong_canh_bao,
    canh_bao,
    CASE WHEN canh_bao THEN 'Đỏ' WHEN nguong_canh_bao IS NULL THEN 'Xám' ELSE 'Xanh' END AS muc_canh_bao,
    nguon
FROM so_sanh
